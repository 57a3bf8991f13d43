# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""A MinIO (or, for buckets without quotas, any S3) server: what it has, and the steps that change it."""

from __future__ import annotations

import contextlib
import json
import traceback
import typing as t
from dataclasses import dataclass

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._http import open_pool
from ansible_collections.airgap.mlops.plugins.module_utils._kube import kube_client, read_secret
from ansible_collections.airgap.mlops.plugins.module_utils._minio_buckets import Bucket, BucketState, BucketStep
from ansible_collections.airgap.mlops.plugins.module_utils._minio_users import User, UserState, UserStep
from ansible_collections.airgap.mlops.plugins.module_utils._portforward import PortForward
from ansible_collections.airgap.mlops.plugins.module_utils._s3_policy import as_sent

try:
    from minio import Minio, MinioAdmin
    from minio.commonconfig import ENABLED
    from minio.credentials import StaticProvider
    from minio.deleteobjects import DeleteObject
    from minio.error import MinioAdminException, MinioException, S3Error
    from minio.versioningconfig import SUSPENDED, VersioningConfig
    from urllib3.exceptions import HTTPError

    MINIO_IMPORT_ERROR = None
except ImportError:
    MINIO_IMPORT_ERROR = traceback.format_exc()

__all__ = ("Credentials", "MinioServer", "S3Refused", "kube_reader", "open_server", "read_credentials")

ReadSecret = t.Callable[[str], t.Mapping[str, str]]


class S3Refused(AirgapError):
    """The server answered, and said no. `code` is S3's word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code=code)
        self.code = code


class _NoRight(S3Refused):
    """The keys are good, and do not reach this."""


class _UnknownKeys(S3Refused):
    """The server does not know these keys."""


_REFUSALS: dict[str, type[S3Refused]] = {
    "AccessDenied": _NoRight,
    "InvalidAccessKeyId": _UnknownKeys,
    "SignatureDoesNotMatch": _UnknownKeys,
}


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    origin: str  # where they stand, for messages

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r} of {self.origin})"


def kube_reader(params: t.Mapping[str, t.Any]) -> ReadSecret:
    """Reads Secrets of the wanted namespace; the API is asked only once a Secret is wanted."""

    def read(name: str) -> t.Mapping[str, str]:
        return read_secret(kube_client(params["kubeconfig"]), params["namespace"], name)

    return read


def read_credentials(entry: t.Mapping[str, t.Any], read: ReadSecret) -> Credentials:
    """The credentials that an option set gives, or that the Secret it names holds."""
    secret = entry.get("secret")
    if not secret:
        return Credentials(entry["access_key"], entry.get("secret_key") or "", "the task")
    values = read(secret["name"])
    missing = [key for key in (secret["access_key"], secret["secret_key"]) if not values.get(key)]
    if missing:
        raise AirgapError(
            f"Secret {secret['name']} has no value under {' and '.join(missing)}: it has {', '.join(sorted(values)) or 'no keys'}. "
            "Name the right keys in the option secret, or mend the Secret."
        )
    return Credentials(values[secret["access_key"]], values[secret["secret_key"]], f"Secret {secret['name']}")


def open_server(params: t.Mapping[str, t.Any], read: ReadSecret) -> MinioServer:
    """The server that a module's options name."""
    if MINIO_IMPORT_ERROR:
        raise AirgapError(missing_required_lib("minio"), exception=MINIO_IMPORT_ERROR)
    tls = {"tls": params["tls"], "ca_path": params["ca_path"]}
    if params["address"]:
        pool, address, shown = open_pool(**tls), params["address"], params["address"]
    else:
        service, port = params["service"], params["port"]
        forward = PortForward(kube_client(params["kubeconfig"]), params["namespace"])
        pool = open_pool(connect=lambda: forward.connect(service, port), **tls)
        address, shown = f"{service}:{port}", f"Service {params['namespace']}/{service}:{port}"
    return MinioServer(
        credentials=read_credentials(params, read),
        pool=pool,
        address=address,
        shown=shown,
        tls=params["tls"],
        region=params["region"],
    )


class MinioServer:
    """One server, as one user. Every failure names the server and what was asked of it."""

    def __init__(
        self, *, credentials: Credentials, pool: t.Any, address: str, shown: str, tls: bool, region: str
    ) -> None:
        self.credentials = credentials
        self.shown = shown
        self._pool = pool
        self._address = address
        self._tls = tls
        self._region = region
        self.s3 = self._client(credentials)
        self._admin = MinioAdmin(
            endpoint=address,
            credentials=StaticProvider(credentials.access_key, credentials.secret_key),
            region=region,
            secure=tls,
            http_client=pool,
        )

    def _client(self, credentials: Credentials) -> Minio:
        return Minio(
            endpoint=self._address,
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            secure=self._tls,
            region=self._region,
            http_client=self._pool,
        )

    @contextlib.contextmanager
    def asking(self, what: str) -> t.Iterator[None]:
        """Library errors become ours here and nowhere else."""
        try:
            yield
        except S3Error as exc:
            raise self._refusal(what, str(exc.code), str(exc.message)) from exc
        except MinioAdminException as exc:
            raise self._refusal(what, *_admin_error(exc)) from exc
        except (MinioException, ValueError) as exc:
            raise AirgapError(f"Could not {what} on {self.shown}: {exc}. Does an S3 server answer there?") from exc
        except (HTTPError, OSError) as exc:
            reason = str(getattr(exc, "reason", None) or exc).split(": ", 1)[-1]
            raise AirgapError(
                f"{self.shown} does not answer ({reason}): could not {what}. Is the server up, and its address right?"
            ) from exc

    def _refusal(self, what: str, code: str, message: str) -> S3Refused:
        text = f"{self.shown} refused to {what}: {code}: {message.rstrip('.')}."
        refusal = _REFUSALS.get(code, S3Refused)
        if refusal is _UnknownKeys:
            text += (
                f" The credentials of {self.credentials.access_key} come from {self.credentials.origin}, and the server "
                "runs with others: a server takes changed root credentials only when it starts."
            )
        return refusal(text, code)

    # Buckets

    def read_buckets(self, wanted: t.Iterable[Bucket]) -> dict[str, BucketState]:
        """The state of every wanted bucket. All that cannot be read are named at once."""
        # A refused HEAD has no body that tells a wrong key from a missing right, so the keys are tried by themselves.
        self.check_login()
        states: dict[str, BucketState] = {}
        problems: list[str] = []
        for bucket in wanted:
            try:
                states[bucket.name] = self._read_bucket(bucket)
            except S3Refused as exc:
                if exc.code not in _NOT_OURS:
                    raise
                problems.append(f"bucket {bucket.name} ({exc.code})")
        if problems:
            raise AirgapError(
                f"No bucket was changed: on {self.shown} the credentials of {self.credentials.access_key} do not reach {', '.join(problems)}. "
                "It belongs to someone else, or the user's policy leaves it out: choose another name, or use the owner's credentials.",
                problems=problems,
            )
        return states

    def _read_bucket(self, bucket: Bucket) -> BucketState:
        name = bucket.name
        with self.asking(f"look at bucket {name}"):
            if not self.s3.bucket_exists(bucket_name=name):
                return BucketState(name, exists=False)
            if bucket.state == "absent":
                return BucketState(name, exists=True, empty=self._is_empty(name))
            return BucketState(
                name,
                exists=True,
                versioning="off" if bucket.versioning is None else self._versioning(name),
                quota=0
                if bucket.quota is None
                else int(json.loads(self._admin.bucket_quota_get(name)).get("quota") or 0),
                object_lock=self._has_object_lock(name),
                policy=None if bucket.policy is None else self._policy(name),
            )

    def _versioning(self, name: str) -> str:
        # No status at all is what servers answer where versioning was never touched.
        return _VERSIONING.get(self.s3.get_bucket_versioning(bucket_name=name).status or "", "off")

    def _is_empty(self, name: str) -> bool:
        # Old versions and delete markers count too: a bucket with nothing else still holds data.
        return next(iter(self.s3.list_objects(bucket_name=name, recursive=True, include_version=True)), None) is None

    def _has_object_lock(self, name: str) -> bool:
        try:
            self.s3.get_object_lock_config(bucket_name=name)
        except S3Error as exc:
            if exc.code != "ObjectLockConfigurationNotFoundError":
                raise
            return False
        return True

    def _policy(self, name: str) -> dict[str, t.Any] | None:
        try:
            policy: dict[str, t.Any] = json.loads(self.s3.get_bucket_policy(bucket_name=name))
        except S3Error as exc:
            if exc.code != "NoSuchBucketPolicy":
                raise
            return None
        return policy

    def apply_bucket_step(self, step: BucketStep) -> None:
        with self.asking(str(step)):
            self._BUCKET_STEPS[step.action](self, step.bucket, step.value)

    def _create_bucket(self, name: str, object_lock: bool) -> None:
        self.s3.make_bucket(bucket_name=name, object_lock=object_lock)

    def _empty_bucket(self, name: str, _value: None) -> None:
        objects = self.s3.list_objects(bucket_name=name, recursive=True, include_version=True)
        doomed = (DeleteObject(item.object_name, item.version_id) for item in objects)
        errors = [
            f"{error.name}: {error.code}"
            for error in self.s3.remove_objects(bucket_name=name, delete_object_list=doomed)
        ]
        if errors:
            raise ValueError(f"{len(errors)} objects stay, the first is {errors[0]}")

    def _remove_bucket(self, name: str, _value: None) -> None:
        self.s3.remove_bucket(bucket_name=name)

    def _set_versioning(self, name: str, value: str) -> None:
        status = ENABLED if value == "enabled" else SUSPENDED
        self.s3.set_bucket_versioning(bucket_name=name, config=VersioningConfig(status))

    def _set_quota(self, name: str, size: int) -> None:
        self._admin.bucket_quota_set(name, size)

    def _set_policy(self, name: str, policy: t.Mapping[str, t.Any] | None) -> None:
        if policy:
            self.s3.set_bucket_policy(bucket_name=name, policy=json.dumps(as_sent(policy)))
        else:
            self.s3.delete_bucket_policy(bucket_name=name)

    _BUCKET_STEPS: t.ClassVar[t.Mapping[str, t.Callable[..., None]]] = {
        "create": _create_bucket,
        "empty": _empty_bucket,
        "policy": _set_policy,
        "quota": _set_quota,
        "remove": _remove_bucket,
        "versioning": _set_versioning,
    }

    # Users and policies

    def read_policies(self) -> dict[str, dict[str, t.Any]]:
        with self.asking("list its policies"):
            policies: dict[str, dict[str, t.Any]] = json.loads(self._admin.policy_list())
        return policies

    def read_users(self, wanted: t.Iterable[User], secrets: t.Mapping[str, Credentials]) -> dict[str, UserState]:
        """Every user of the server; of the wanted ones also whether the given secret key opens them."""
        with self.asking("list its users"):
            listed = json.loads(self._admin.user_list())
        tried = {user.access_key for user in wanted if user.state == "present"}
        states = {}
        for access_key, info in listed.items():
            enabled = info.get("status") == "enabled"
            states[access_key] = UserState(
                access_key,
                enabled=enabled,
                policies=frozenset(name for name in (info.get("policyName") or "").split(",") if name),
                login=self.opens(secrets[access_key]) if enabled and access_key in tried else None,
            )
        return states

    def check_login(self) -> None:
        """Raise when the server does not know our own credentials; what they may do is another question."""
        with contextlib.suppress(_NoRight), self.asking("log in"):
            self.s3.list_buckets()

    def opens(self, credentials: Credentials) -> bool:
        """Whether the server knows these credentials. A user without rights is refused the list, but is known."""
        try:
            with contextlib.suppress(_NoRight), self.asking(f"log in as {credentials.access_key}"):
                self._client(credentials).list_buckets()
        except _UnknownKeys:
            return False
        return True

    def apply_user_step(self, step: UserStep, secrets: t.Mapping[str, Credentials]) -> None:
        with self.asking(str(step)):
            if step.action == "put_policy":
                self._admin.policy_add(step.name, policy=as_sent(step.value))
            elif step.action == "set_secret":
                self._admin.user_add(step.name, secrets[step.name].secret_key)
            elif step.action == "set_policies":
                self._admin.policy_set(",".join(step.value), user=step.name)
            elif step.action == "remove_user":
                self._admin.user_remove(step.name)
            elif step.action == "remove_policy":
                self._admin.policy_remove(step.name)


# What servers answer where a bucket is there but not for these credentials, or in a region of somebody else's.
_NOT_OURS = frozenset(("AccessDenied", "AllAccessDisabled", "PermanentRedirect", "Redirect", "RetryHead"))
_VERSIONING = {} if MINIO_IMPORT_ERROR else {ENABLED: "enabled", SUSPENDED: "suspended"}


def _admin_error(exc: MinioAdminException) -> tuple[str, str]:
    """The admin API answers in JSON; the library keeps status and body in private attributes and offers no others."""
    status, body = exc._code, exc._body
    try:
        answer = json.loads(body)
        return str(answer["Code"]), str(answer["Message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}", body[:200] or "no explanation"
