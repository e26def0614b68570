"""Secrets to plant: presigned URLs as three clouds write them, around a signature of one's own."""

__all__ = ["PRESIGNED"]

PRESIGNED = {
    "aws": lambda signature: (
        "https://bucket.s3.amazonaws.com/jobs/r.parquet?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Date=20261126T000000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
        f"&X-Amz-Security-Token={signature}a&X-Amz-Signature={signature}"
    ),
    "aws, version 2": lambda signature: (
        "https://bucket.s3.amazonaws.com/jobs/r.parquet?AWSAccessKeyId=AKIA1&Expires=1798243200"
        f"&Signature={signature}%3D"
    ),
    "google": lambda signature: (
        "https://storage.googleapis.com/bucket/jobs/r.parquet?X-Goog-Algorithm=GOOG4-RSA-SHA256"
        "&X-Goog-Date=20261126T000000Z&X-Goog-Expires=3600&X-Goog-SignedHeaders=host"
        f"&X-Goog-Signature={signature}"
    ),
    "azure": lambda signature: (
        "https://account.blob.core.windows.net.com/jobs/r.parquet?sv=2024-11-04&sr=b&sp=r"
        f"&se=2026-11-27T00%3A00%3A00Z&spr=https&sig={signature}%3D"
    ),
}
