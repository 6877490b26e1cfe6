"""The table of metrics: every name, what it counts, its labels. The reference page is made from it.

Labels are bounded: an endpoint's name, a method, a status, a word of this
table. None is ever a repository, a tag, a user or an address, so that what a
stranger types makes no series.

Spec: Prometheus, "Metric and label naming"; base units are seconds and bytes.
"""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One name."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


BUCKETS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
    60.0,
    600.0,
)
"""Upper bounds of the histogram in seconds: from a manifest out of memory to a layer over a slow line."""

REQUESTS: Final = Metric(
    name="sealift_requests_total",
    kind="counter",
    help="Requests that were answered. A status of 0: the client went away before there was one.",
    labels=("route", "method", "status"),
)
DURATION: Final = Metric(
    name="sealift_request_duration_seconds",
    kind="histogram",
    help="Time from a request's head to the end of its answer.",
    labels=("route",),
)
IN_FLIGHT: Final = Metric(
    name="sealift_requests_in_flight", kind="gauge", help="Requests that are being answered now."
)
RECEIVED: Final = Metric(
    name="sealift_received_bytes_total", kind="counter", help="Bytes of request bodies that were read."
)
SENT: Final = Metric(
    name="sealift_sent_bytes_total", kind="counter", help="Bytes of response bodies that were sent."
)
GIVEN_UP: Final = Metric(
    name="sealift_requests_given_up_total",
    kind="counter",
    help="Requests that were ended because their client stalled or was too slow.",
)
TOKENS: Final = Metric(
    name="sealift_tokens_total",
    kind="counter",
    help="Requests for a token. denied: wrong credentials. busy: no password could be checked now. "
    "refused: it could not be read.",
    labels=("outcome",),
)
PASSWORDS_WAITING: Final = Metric(
    name="sealift_password_checks_waiting",
    kind="gauge",
    help="Password checks that run or wait for a core.",
)
PASSWORDS_REFUSED: Final = Metric(
    name="sealift_password_checks_refused_total",
    kind="counter",
    help="Password checks that were turned away (429) because the queue was full.",
)
ALARMS: Final = Metric(
    name="sealift_alarms_total",
    kind="counter",
    help="What an operator has to look at now; the log says ALARM with the particulars.",
    labels=("kind",),
)
COLLECTED: Final = Metric(
    name="sealift_collected_total",
    kind="counter",
    help="What was cleared away because nobody needs it any more.",
    labels=("kind",),
)
AUDIT_DROPPED: Final = Metric(
    name="sealift_audit_dropped_total",
    kind="counter",
    help="Denials that were counted and not listed in the audit trail, because too many came at once.",
)
WORKER_STARTS: Final = Metric(
    name="sealift_worker_starts_total",
    kind="counter",
    help="Worker processes that were started: later ones because one died, or for a new certificate.",
)

UPLOADS_OPEN: Final = Metric(
    name="sealift_uploads_open", kind="gauge", help="Uploads that have begun and not ended."
)
REPOSITORIES: Final = Metric(name="sealift_repositories", kind="gauge", help="Repositories.")
MANIFESTS: Final = Metric(
    name="sealift_manifests", kind="gauge", help="Manifests and indexes, in all repositories."
)
BLOBS: Final = Metric(
    name="sealift_blobs", kind="gauge", help="Blobs; one that several repositories have counts once."
)
BLOB_BYTES: Final = Metric(name="sealift_blob_bytes", kind="gauge", help="Bytes of all blobs.")
CATALOG_BYTES: Final = Metric(
    name="sealift_catalog_bytes", kind="gauge", help="Bytes of the catalog's files, with its write-ahead log."
)
FIGURES_TIME: Final = Metric(
    name="sealift_figures_timestamp_seconds",
    kind="gauge",
    help="When the figures of the catalog were counted; they are counted at most every half minute.",
)
FREE_BYTES: Final = Metric(
    name="sealift_data_free_bytes",
    kind="gauge",
    help="Bytes that the data directory's file system has left for us.",
)
SIZE_BYTES: Final = Metric(
    name="sealift_data_size_bytes", kind="gauge", help="Bytes of the data directory's file system."
)
READY: Final = Metric(
    name="sealift_ready", kind="gauge", help="1 where the check of /readyz passes, else 0.", labels=("check",)
)
CERTIFICATE: Final = Metric(
    name="sealift_certificate_expiry_timestamp_seconds",
    kind="gauge",
    help="When the certificate that is served now ends. Absent without TLS.",
)
BUILD: Final = Metric(name="sealift_build_info", kind="gauge", help="Always 1.", labels=("version", "python"))
STARTED: Final = Metric(
    name="process_start_time_seconds", kind="gauge", help="When the server was started; workers come and go."
)

METRICS: Final = (
    REQUESTS,
    DURATION,
    IN_FLIGHT,
    RECEIVED,
    SENT,
    GIVEN_UP,
    TOKENS,
    PASSWORDS_WAITING,
    PASSWORDS_REFUSED,
    ALARMS,
    COLLECTED,
    AUDIT_DROPPED,
    UPLOADS_OPEN,
    REPOSITORIES,
    MANIFESTS,
    BLOBS,
    BLOB_BYTES,
    CATALOG_BYTES,
    FIGURES_TIME,
    FREE_BYTES,
    SIZE_BYTES,
    READY,
    CERTIFICATE,
    WORKER_STARTS,
    BUILD,
    STARTED,
)
"""Every metric, in the order in which they are written out."""
