"""What a secret looks like: rules as data, `Detector.scan` for whole texts, `Stream` for texts in pieces."""

from remit.detect.finding import Finding, Label

__all__ = ["Finding", "Label"]
