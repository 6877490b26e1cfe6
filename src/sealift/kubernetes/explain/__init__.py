"""Why an image will be pulled, or will not: gather, decide, report."""
