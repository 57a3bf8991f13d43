"""Read an S3 server back by another road than the modules' library: one botocore call, its answer as JSON."""

from __future__ import annotations

import json
import sys

import botocore.config
import botocore.exceptions
import botocore.session


def main() -> int:
    url, operation, parameters = sys.argv[1:]
    config = botocore.config.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    client = botocore.session.get_session().create_client("s3", "us-east-1", endpoint_url=url, config=config)
    try:
        answer = getattr(client, operation)(**json.loads(parameters))
    except botocore.exceptions.ClientError as exc:
        sys.exit(str(exc))
    if hasattr(answer.get("Body"), "read"):
        answer["Body"] = answer["Body"].read().decode()
    answer.pop("ResponseMetadata", None)
    print(json.dumps(answer, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
