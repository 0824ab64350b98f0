"""Starts, watches and ends runs on Kubernetes. Control plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparkscore.errors import SubmitError
from sparkscore.targets.base import CompiledApplication, RemoteRun, RemoteStatus
from sparkscore.targets.kubernetes import apache, kubeflow
from sparkscore.targets.kubernetes.cluster import Cluster, Place, Refused
from sparkscore.targets.kubernetes.compile import RESOURCE_FILES
from sparkscore.targets.kubernetes.names import make_resource_name
from sparkscore.targets.kubernetes.resource import DRIVER_CONTAINER, INSTANCE
from sparkscore.targets.kubernetes.settings import KUBEFLOW, KubernetesSettings
from sparkscore.targets.kubernetes.status import (
    explain_pod,
    find_last_words,
    find_newest,
    read_apache_status,
    read_kubeflow_status,
)

_CONFLICT, _NOT_FOUND = 409, 404


class KubernetesPlatform:
    """A cluster with the operator that the settings name.

    The id of a run is ``namespace/name`` of its resource. Methods raise SubmitError
    (PLATFORM_UNREACHABLE, PLATFORM_DENIED, PLATFORM_NOT_CONFIGURED, RUN_REFUSED) and
    MissingDependencyError.
    """

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        self._cluster = Cluster(settings.context)

    def submit(self, compiled: CompiledApplication, *, name: str) -> RemoteRun:
        """Create the run's resource; one of the same job that is there already is the run.

        Raises SubmitError with RUN_NAME_TAKEN if the resource of that name is another job's.
        """
        body = _read_body(compiled, operator=self._settings.operator)
        metadata = body["metadata"]
        metadata["name"] = make_resource_name(name)
        run_id = f"{metadata['namespace']}/{metadata['name']}"
        place = self._place(metadata["namespace"])
        try:
            self._cluster.create(place, body)
        except Refused as refused:
            if refused.status != _CONFLICT:
                raise _refuse(refused, what=f"did not take run {run_id}") from refused
            self._check_same(place, body)
        return RemoteRun(run_id, self._find_url(run_id))

    def get_status(self, run_id: str) -> RemoteStatus:
        """What the operator says, and what keeps pods from running.

        Raises SubmitError with RUN_NOT_FOUND if the resource is gone.
        """
        namespace, _, name = run_id.partition("/")
        try:
            resource = self._cluster.get(self._place(namespace), name)
        except Refused as refused:
            if refused.status == _NOT_FOUND:
                raise SubmitError(
                    f"run {run_id} is no longer on the Kubernetes cluster: it was deleted there",
                    condition="RUN_NOT_FOUND",
                    run_id=run_id,
                ) from refused
            raise _refuse(refused, what=f"does not show run {run_id}") from refused
        is_kubeflow = self._settings.operator == KUBEFLOW
        read = read_kubeflow_status if is_kubeflow else read_apache_status
        status = replace(read(resource), url=self._find_url(run_id))
        if status.state == "succeeded":
            return status
        told = (status.message, *self._explain_pods(namespace, resource, state=status.state))
        return replace(status, message="; ".join(part for part in told if part))

    def cancel(self, run_id: str) -> None:
        """Delete the resource; its pods get time to end. One that is gone is fine."""
        namespace, _, name = run_id.partition("/")
        try:
            self._cluster.delete(self._place(namespace), name)
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise _refuse(refused, what=f"did not end run {run_id}") from refused

    def _check_same(self, place: Place, body: dict[str, Any]) -> None:
        """The resource that has the name must be of this job and stay."""
        name = body["metadata"]["name"]
        try:
            found = self._cluster.get(place, name)
        except Refused as refused:
            raise _refuse(refused, what=f"has lost run {place.namespace}/{name}") from refused
        except SubmitError as error:  # of the question alone: the resource is there
            error.attributes["was_sent"] = True
            raise
        is_leaving = "deletionTimestamp" in found["metadata"]
        if is_leaving or _get_arguments(found) != _get_arguments(body):
            why = "is being deleted" if is_leaving else "belongs to another job"
            raise SubmitError(
                f"the SparkApplication {name} in namespace {place.namespace} {why}: wait until it "
                "is gone, or give the job another name",
                condition="RUN_NAME_TAKEN",
                run_id=f"{place.namespace}/{name}",
            )

    def _explain_pods(
        self, namespace: str, resource: Mapping[str, Any], *, state: str
    ) -> list[str]:
        """What is known about pods that wait or failed; nothing if we may not look at them."""
        instance = (resource["metadata"].get("labels") or {}).get(INSTANCE, "")
        labels = f"{INSTANCE}={instance},spark-role="
        try:
            driver = find_newest(self._cluster.list_pods(namespace, labels=f"{labels}driver"))
            pods = [] if driver is None else [driver]
            if state == "running":
                fields = "status.phase=Pending"
                pods += self._cluster.list_pods(
                    namespace, labels=f"{labels}executor", fields=fields
                )[:1]
            told = [text for text in map(explain_pod, pods) if text]
            if driver is not None and state == "failed":
                told.append(self._find_last_words(namespace, driver["metadata"]["name"]))
        except (SubmitError, Refused):
            return []
        return told

    def _find_last_words(self, namespace: str, pod: str) -> str:
        words = find_last_words(self._cluster.read_log(namespace, pod, container=DRIVER_CONTAINER))
        return f"its log ends with: {words}" if words else ""

    def _place(self, namespace: str) -> Place:
        operator = kubeflow if self._settings.operator == KUBEFLOW else apache
        return Place(operator.GROUP, operator.VERSION, namespace)

    def _find_url(self, run_id: str) -> str | None:
        template = self._settings.page_url
        namespace, _, name = run_id.partition("/")
        if template is None:
            return None
        return template.replace("{namespace}", namespace).replace("{name}", name)


def _read_body(compiled: CompiledApplication, *, operator: str) -> dict[str, Any]:
    import yaml

    body: dict[str, Any] = yaml.safe_load(compiled.files[RESOURCE_FILES[operator]])
    return body


def _get_arguments(body: Mapping[str, Any]) -> list[str]:
    spec = body.get("spec") or {}
    return list(spec.get("arguments") or spec.get("driverArgs") or ())


def _refuse(refused: Refused, *, what: str) -> SubmitError:
    hint = ""
    if refused.status == _NOT_FOUND:
        hint = "; is the operator of the compute installed there, and is there such a namespace?"
    return SubmitError(
        f"the Kubernetes cluster {what} ({refused.status}: {refused.message}){hint}",
        condition="RUN_REFUSED",
        status=refused.status,
    )
