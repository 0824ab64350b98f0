"""S3: moto's server, in a thread of the tests' process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto.server import ThreadedMotoServer

from tests.servers.store import StoreServer

KEY, SECRET, REGION = "testing-key-id", "testing-secret-value", "us-east-1"


@contextmanager
def s3_server(bucket: str = "bucket", *, host: str = "127.0.0.1") -> Iterator[StoreServer]:
    """A server with the bucket ``s3://bucket`` at ``host``, which comes by AWS_ENDPOINT_URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=host, port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
        )
        client.create_bucket(Bucket=bucket)
        yield StoreServer(
            uri=f"s3://{bucket}",
            put=lambda path, body: client.put_object(Bucket=bucket, Key=path, Body=body),
            environment={
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_DEFAULT_REGION": REGION,
            },
            secrets=(SECRET,),
        )
        client.close()
    finally:
        server.stop()
