"""Images in registries and on disk: pushed, pulled, copied, listed, looked into and deleted."""

import platform as platform_module
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import click

from sealift.cli.connection import Connection, connection_options, open_client, run
from sealift.cli.output import (
    OutputFormat,
    human_size,
    output_option,
    print_bytes,
    print_document,
    print_table,
)
from sealift.cli.progress import ProgressMode, progress_option
from sealift.cli.progress import progress as shown
from sealift.client.attachments import Attachments
from sealift.client.copy import Destination, Progress, Report, Source, choose_platform, copy_image
from sealift.client.docker_archive import DockerArchiveDestination, DockerArchiveSource
from sealift.client.errors import UnusableManifest
from sealift.client.layout import LayoutDestination, LayoutSource
from sealift.client.oci_archive import OciArchiveDestination, OciArchiveSource
from sealift.client.place import (
    DockerArchivePlace,
    LayoutPlace,
    MalformedPlace,
    OciArchivePlace,
    Place,
    RegistryPlace,
    parse_place,
)
from sealift.client.registry_client import Delivery, RegistryClient
from sealift.client.registry_image import RegistryDestination, RegistrySource
from sealift.image.descriptor import Descriptor
from sealift.image.manifest import DOCKER_CONFIG, OCI_CONFIG, Manifest
from sealift.image.platform import Platform
from sealift.image.reference import ImageReference, MalformedReference, Repository
from sealift.transport.redaction import printable

_PLATFORM_HELP = "Only the image for this platform, such as linux/arm64."


class NothingNamed(MalformedPlace):
    """The command needs a tag or a digest, and none was written."""


def reference_of(text: str) -> ImageReference:
    """An image in a registry, with or without ``docker://`` before it."""
    with _name_hint():
        return ImageReference.parse(text.removeprefix("docker://"))


def place_of(text: str) -> Place:
    """See `parse_place`."""
    with _name_hint():
        return parse_place(text)


@contextmanager
def _name_hint() -> Iterator[None]:
    """Say what a name looks like, where the refusal of one has nothing better."""
    try:
        yield
    except MalformedReference as refusal:
        refusal.hint = refusal.hint or NAME_HINT
        raise


NAME_HINT = "write [HOST[:PORT]/]PATH[:TAG][@DIGEST], such as registry.example.com/apps/web:v1"


@click.command()
@click.argument("source")
@click.argument("image")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help=_PLATFORM_HELP)
@progress_option
@output_option
@connection_options
def push(
    source: str,
    image: str,
    *,
    platform: str | None,
    progress: ProgressMode,
    output: OutputFormat,
    connection: Connection,
) -> None:
    """Send an image to a registry.

    SOURCE is oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE; IMAGE is
    its name in the registry. Blobs that are there already are not sent again.
    """
    place = place_of(source)
    target = RegistryPlace(_tagged(reference_of(image)))
    run(_copy(place, target, platform=platform, mode=progress, output=output, connection=connection))


@click.command()
@click.argument("image")
@click.argument("destination", metavar="DEST")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help=_PLATFORM_HELP)
@progress_option
@output_option
@connection_options
def pull(
    image: str,
    destination: str,
    *,
    platform: str | None,
    progress: ProgressMode,
    output: OutputFormat,
    connection: Connection,
) -> None:
    """Fetch an image into a layout or an archive.

    IMAGE is its name in the registry; DEST is oci:DIR[:TAG], oci-archive:FILE
    or docker-archive:FILE. Every byte is checked against its digest, and DEST
    is not touched under its own name before all is there.
    """
    place = place_of(destination)
    origin = RegistryPlace(reference_of(image))
    run(_copy(origin, place, platform=platform, mode=progress, output=output, connection=connection))


@click.command()
@click.argument("source")
@click.argument("destination")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help=_PLATFORM_HELP)
@click.option(
    "--referrers", is_flag=True, help="Bring signatures, SBOMs and whatever else is attached to the image."
)
@progress_option
@output_option
@connection_options
def copy(
    source: str,
    destination: str,
    *,
    platform: str | None,
    referrers: bool,
    progress: ProgressMode,
    output: OutputFormat,
    connection: Connection,
) -> None:
    """Copy an image with all its platforms.

    SOURCE and DESTINATION are docker://IMAGE, oci:DIR[:TAG], oci-archive:FILE
    or docker-archive:FILE. Between repositories of one registry blobs are
    mounted, and nothing passes through this machine.

    With --referrers, from registry to registry, everything that refers to the
    image or to one of its platforms comes along, and so do the tags that
    cosign makes of a digest (sha256-….sig). It is there before DESTINATION
    gets its tag.
    """
    target = place_of(destination)
    if isinstance(target, RegistryPlace):
        target = RegistryPlace(_tagged(target.reference))
    origin = place_of(source)
    if referrers and not (isinstance(origin, RegistryPlace) and isinstance(target, RegistryPlace)):
        raise click.UsageError("--referrers copies from docker://IMAGE to docker://IMAGE")
    run(
        _copy(
            origin,
            target,
            platform=platform,
            mode=progress,
            output=output,
            connection=connection,
            referrers=referrers,
        )
    )


def _tagged(reference: ImageReference) -> ImageReference:
    """What is pushed without a tag or digest gets the tag that a Pod would ask for."""
    if reference.digest is not None or reference.tag is not None:
        return reference
    return ImageReference(repository=reference.repository, tag=reference.effective_tag)


async def _copy(
    origin: Place,
    target: Place,
    *,
    platform: str | None,
    mode: ProgressMode,
    output: OutputFormat,
    connection: Connection,
    referrers: bool = False,
) -> None:
    wanted = Platform.parse(platform) if platform is not None else None
    if wanted is None and isinstance(target, DockerArchivePlace):
        wanted = this_machine()  # such an archive holds one platform, as docker save's does
    async with open_client(connection) as client, AsyncExitStack() as stack:
        source = source_of(origin, client)
        stack.push_async_callback(source.close)
        destination = destination_of(target, client, origin)
        stack.push_async_callback(destination.close)
        with shown(mode) as watched:
            attached = _attachments(origin, target, client, watched) if referrers else None
            report = await copy_image(
                source, destination, platform=wanted, progress=watched, companions=attached
            )
    if output == "text":
        click.echo(_result(target, report))
        return
    fields = _report_fields(origin, target, report)
    if attached is not None:
        fields["referrers"] = [_descriptor_fields(each) for each in attached.brought.values()]
    print_document("CopyReport", fields, output)


def _attachments(
    origin: Place, target: Place, client: RegistryClient, watched: Progress
) -> Attachments | None:
    """What goes along between two registries; elsewhere there is no such thing."""
    if not (isinstance(origin, RegistryPlace) and isinstance(target, RegistryPlace)):
        return None
    return Attachments(client, origin.reference.repository, target.reference.repository, watched)


def this_machine() -> Platform:
    """The platform of images that run here: linux, on this processor."""
    return Platform("linux", platform_module.machine()).normalised()


def source_of(place: Place, client: RegistryClient) -> Source:
    """The end of a copy that a place is, for reading."""
    match place:
        case RegistryPlace():
            return RegistrySource(client, place.reference)
        case LayoutPlace():
            return LayoutSource(place.directory, place.tag)
        case OciArchivePlace():
            return OciArchiveSource(place.file)
        case DockerArchivePlace():
            return DockerArchiveSource(place.file)


def destination_of(place: Place, client: RegistryClient, origin: Place) -> Destination:
    """The end of a copy that a place is, for writing. A tag or name that it lacks is taken from `origin`."""
    name = origin.reference if isinstance(origin, RegistryPlace) else None
    tag = name.effective_tag if name is not None else None
    if isinstance(origin, LayoutPlace):
        tag = origin.tag
    match place:
        case RegistryPlace():
            return RegistryDestination(client, place.reference)
        case LayoutPlace():
            return LayoutDestination(place.directory, place.tag or tag)
        case OciArchivePlace():
            return OciArchiveDestination(place.file, tag)
        case DockerArchivePlace():
            loaded = f"{name.repository.familiar()}:{tag}" if name is not None and tag is not None else None
            return DockerArchiveDestination(place.file, loaded)


def _result(target: Place, report: Report) -> str:
    """The one line that the next command can be made of."""
    if isinstance(target, RegistryPlace):
        return str(target.reference.pinned_to(report.root.digest))
    return f"{target} {report.root.digest}"


def _report_fields(origin: Place, target: Place, report: Report) -> dict[str, Any]:
    return {
        "source": str(origin),
        "destination": str(target),
        "digest": str(report.root.digest),
        "mediaType": report.root.media_type,
        "size": report.root.size,
        "manifests": report.manifests,
        "blobs": {
            "sent": report.count(Delivery.SENT),
            "existed": report.count(Delivery.EXISTED),
            "mounted": report.count(Delivery.MOUNTED),
            "leftOut": report.count(Delivery.LEFT_OUT),
        },
        "bytesSent": report.bytes_of(Delivery.SENT),
    }


@click.command()
@click.argument("repository", metavar="REPO")
@output_option
@connection_options
def tags(repository: str, *, output: OutputFormat, connection: Connection) -> None:
    """List the tags of a repository."""
    run(_tags(_repository(repository), output, connection))


def _repository(text: str) -> Repository:
    reference = reference_of(text)
    if reference.tag is not None or reference.digest is not None:
        raise NothingNamed(
            f"{text} is an image, and a repository is wanted",
            why="tags are listed of a repository",
            hint=f"sealift tags {reference.repository}",
        )
    return reference.repository


async def _tags(repository: Repository, output: OutputFormat, connection: Connection) -> None:
    async with open_client(connection) as client:
        if output == "text":
            async for name in client.tags(repository):
                click.echo(name)
            return
        names = [name async for name in client.tags(repository)]
    print_document("TagList", {"repository": str(repository), "tags": names}, output)


@click.command()
@click.argument("image")
@output_option
@connection_options
def digest(image: str, *, output: OutputFormat, connection: Connection) -> None:
    """Say what a name points at now."""
    run(_digest(reference_of(image), output, connection))


async def _digest(reference: ImageReference, output: OutputFormat, connection: Connection) -> None:
    async with open_client(connection) as client:
        found = await client.resolve(reference)
    if output == "text":
        click.echo(str(found.digest))
        return
    fields = {"image": str(reference), **_descriptor_fields(found)}
    print_document("ImageDigest", fields, output)


def _descriptor_fields(descriptor: Descriptor) -> dict[str, Any]:
    return {"digest": str(descriptor.digest), "mediaType": descriptor.media_type, "size": descriptor.size}


@click.command()
@click.argument("image")
@click.option("--raw", is_flag=True, help="Print the manifest itself, byte for byte.")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help=_PLATFORM_HELP)
@output_option
@connection_options
def inspect(
    image: str, *, raw: bool, platform: str | None, output: OutputFormat, connection: Connection
) -> None:
    """Show what an image is made of.

    IMAGE is its name in a registry, or oci:DIR[:TAG] and the like.
    """
    known = ("docker:", "oci:", "oci-archive:", "docker-archive:")
    place = place_of(image) if image.startswith(known) else RegistryPlace(reference_of(image))
    wanted = Platform.parse(platform) if platform is not None else None
    run(_inspect(place, wanted, raw, output, connection))


async def _inspect(
    place: Place, platform: Platform | None, raw: bool, output: OutputFormat, connection: Connection
) -> None:
    async with open_client(connection) as client, AsyncExitStack() as stack:
        source = source_of(place, client)
        stack.push_async_callback(source.close)
        root = await source.root()
        manifest = await choose_platform(source, root, platform) if platform is not None else root
        if raw:
            print_bytes(manifest.body)
            return
        config = await _config(source, manifest)
    fields = _inspection(place, manifest, config)
    if output == "text":
        _print_inspection(fields, manifest)
    else:
        print_document("ImageInspection", fields, output)


async def _config(source: Source, manifest: Manifest) -> dict[str, Any] | None:
    """The image's configuration; None where it has none that is one (an index, an artifact)."""
    import json

    descriptor = manifest.config
    if descriptor is None or descriptor.media_type not in {OCI_CONFIG, DOCKER_CONFIG}:
        return None
    if descriptor.size > MAX_CONFIG:
        raise UnusableManifest(
            "the image cannot be shown", why=f"its configuration is longer than {MAX_CONFIG} bytes"
        )
    body = b"".join([part async for part in source.blob(descriptor)])
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else None


MAX_CONFIG = 8 * 1024 * 1024
"""Bytes of an image's configuration. Real ones have some kilobytes."""


def _inspection(place: Place, manifest: Manifest, config: Mapping[str, Any] | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "image": str(place.reference) if isinstance(place, RegistryPlace) else str(place),
        "digest": str(manifest.digest),
        "mediaType": manifest.media_type,
        "size": len(manifest.body),
    }
    if manifest.artifact_type is not None:
        fields["artifactType"] = manifest.artifact_type
    if manifest.annotations:
        fields["annotations"] = dict(manifest.annotations)
    if manifest.is_index:
        fields["manifests"] = [
            {**_descriptor_fields(each), "platform": str(each.platform) if each.platform else None}
            for each in manifest.manifests
        ]
        return fields
    if config is not None:
        inner = config.get("config")
        fields["created"] = config.get("created")
        fields["platform"] = "/".join(
            str(config[key]) for key in ("os", "architecture", "variant") if config.get(key)
        )
        fields["config"] = inner if isinstance(inner, dict) else {}
    fields["layers"] = [_descriptor_fields(each) for each in manifest.layers]
    return fields


def _print_inspection(fields: Mapping[str, Any], manifest: Manifest) -> None:
    for label, key in (
        ("Image", "image"),
        ("Digest", "digest"),
        ("Type", "mediaType"),
        ("Artifact", "artifactType"),
        ("Created", "created"),
        ("Platform", "platform"),
    ):
        if fields.get(key):
            click.echo(f"{label + ':':<10}{printable(str(fields[key]))}")
    inner = fields.get("config") or {}
    for key in ("Entrypoint", "Cmd", "User", "WorkingDir"):
        if inner.get(key):
            value = inner[key]
            text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            click.echo(f"{key + ':':<12}{printable(text)}")
    click.echo()
    if manifest.is_index:
        rows = [
            (str(each.platform or "-"), str(each.digest), human_size(each.size))
            for each in manifest.manifests
        ]
        print_table(("PLATFORM", "DIGEST", "SIZE"), rows)
    else:
        rows = [(str(each.digest), human_size(each.size), each.media_type) for each in manifest.layers]
        print_table(("LAYER", "SIZE", "TYPE"), rows)


@click.command()
@click.argument("image")
@output_option
@connection_options
def delete(image: str, *, output: OutputFormat, connection: Connection) -> None:
    """Delete a tag or a manifest.

    With a tag only the tag goes; with a digest the manifest goes, and every tag
    on it. A name without either is refused: nobody deletes latest by accident.
    """
    reference = reference_of(image)
    if reference.tag is None and reference.digest is None:
        raise NothingNamed(
            f"which image of {reference.repository} shall go?",
            why="neither a tag nor a digest is named",
            hint=f"sealift tags {reference.repository}",
        )
    run(_delete(reference, output, connection))


async def _delete(reference: ImageReference, output: OutputFormat, connection: Connection) -> None:
    from sealift.client.errors import Unsupported

    async with open_client(connection) as client:
        try:
            await client.delete_manifest(reference)
        except Unsupported as error:
            if reference.digest is None:
                error.hint = (
                    "this registry may delete by digest only, and all tags on it go too: "
                    f"sealift delete {reference.repository}@$(sealift digest {reference})"
                )
            raise
    if output == "text":
        click.echo(f"deleted {reference}")
    else:
        print_document("Deletion", {"image": str(reference)}, output)
