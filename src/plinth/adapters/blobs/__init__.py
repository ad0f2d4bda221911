"""Blob stores: a folder (default) and S3-compatible object storage."""
