"""A YARN cluster that tests start: Hadoop's own minicluster, with a resource and a node manager.

Its jar comes from Maven Central, fetched by the Ivy in pyspark's jars and kept for later runs; the
rest of Hadoop is what Spark ships, so that both are of one version. Containers are real processes.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from sparkscore.targets.java import find_java
from tests.spark.clusters import SPARK_HOME

JARS = SPARK_HOME / "jars"
CACHE = Path(os.environ.get("SPARKSCORE_CACHE") or Path.home() / ".cache" / "sparkscore") / "tests"

CONFIGURATION = {
    "yarn.nodemanager.vmem-check-enabled": "false",
    "yarn.nodemanager.pmem-check-enabled": "false",
    "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
    "yarn.nodemanager.disk-health-checker.min-free-space-per-disk-mb": "0",
    "yarn.nodemanager.resource.memory-mb": "6144",
    "yarn.nodemanager.resource.cpu-vcores": "8",
    "yarn.nodemanager.delete.debug-delay-sec": "600",
    "yarn.scheduler.minimum-allocation-mb": "128",
    "yarn.scheduler.capacity.maximum-am-resource-percent": "0.9",
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    "yarn.resourcemanager.am.max-attempts": "1",
}

NEEDED = (
    ("org.junit.jupiter", "junit-jupiter-api", "5.13.4"),
    ("org.junit.platform", "junit-platform-commons", "1.13.4"),
    ("org.opentest4j", "opentest4j", "1.3.0"),
    ("org.bouncycastle", "bcprov-jdk18on", "1.82"),
    ("org.bouncycastle", "bcpkix-jdk18on", "1.82"),
    ("org.bouncycastle", "bcutil-jdk18on", "1.82"),
)
"""What the minicluster cannot start without; its jar leaves them out."""

IVY_MODULE = (
    '<ivy-module version="2.0"><info organisation="sparkscore" module="tests"/>'
    "<dependencies>{wanted}</dependencies></ivy-module>"
)
IVY_SETTINGS = (
    '<ivysettings><settings defaultResolver="central"/><caches defaultCacheDir="{folder}/cache"/>'
    '<resolvers><ibiblio name="central" m2compatible="true"/></resolvers></ivysettings>'
)


def find_hadoop_version() -> str:
    """The version of the Hadoop in pyspark's jars."""
    (jar,) = JARS.glob("hadoop-client-api-*.jar")
    return jar.name.removeprefix("hadoop-client-api-").removesuffix(".jar")


def find_minicluster() -> list[Path]:
    """The minicluster's jars, fetched if they are not there; raises RuntimeError if that fails."""
    modules = (("org.apache.hadoop", "hadoop-client-minicluster", find_hadoop_version()), *NEEDED)
    jars = [CACHE / f"{name}-{version}.jar" for _, name, version in modules]
    if all(jar.exists() for jar in jars):
        return jars
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        work = Path(place)
        wanted = "".join(
            f'<dependency org="{group}" name="{name}" rev="{version}" transitive="false"/>'
            for group, name, version in modules
        )
        (work / "ivy.xml").write_text(IVY_MODULE.format(wanted=wanted))
        (work / "settings.xml").write_text(IVY_SETTINGS.format(folder=work))
        command = [
            *(str(find_java(os.environ).home / "bin" / "java"), "-cp", f"{JARS}/*"),
            *(f"-Divy.default.ivy.user.dir={work}", "org.apache.ivy.Main", "-warn"),
            *("-settings", str(work / "settings.xml"), "-ivy", str(work / "ivy.xml")),
            *("-types", "jar", "-retrieve", f"{work}/jars/[artifact]-[revision].[ext]"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        for jar in jars:
            (work / "jars" / jar.name).replace(jar)
    return jars


class YarnCluster:
    """One resource manager and one node manager; ``configuration`` is a HADOOP_CONF_DIR."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.configuration = folder / "conf"
        self._gateway: Any = None
        self._process: Any = None
        self._cluster: Any = None
        self._log = (folder / "yarn.log").open("w")

    def start(self) -> None:
        """Start it; returns when its node manager has registered."""
        self._start_java()
        java = self._gateway.jvm
        configuration = java.org.apache.hadoop.yarn.conf.YarnConfiguration()
        for name, value in CONFIGURATION.items():
            configuration.set(name, value)
        configuration.set("hadoop.tmp.dir", str(self._folder / "tmp"))
        self._cluster = java.org.apache.hadoop.yarn.server.MiniYARNCluster("tests", 1, 1, 1)
        self._cluster.init(configuration)
        self._cluster.start()
        if not self._cluster.waitForNodeManagersToConnect(60_000):
            raise RuntimeError("the node manager did not register")
        self.configuration.mkdir()
        stream = java.java.io.FileOutputStream(str(self.configuration / "yarn-site.xml"))
        self._cluster.getConfig().writeXml(stream)
        stream.close()

    def list_applications(self) -> list[tuple[str, str]]:
        """Name and final state of every application that was submitted."""
        applications = self._cluster.getResourceManager().getRMContext().getRMApps().values()
        return [(app.getName(), str(app.getFinalApplicationStatus())) for app in applications]

    def stop(self) -> None:
        """End its process; executors that are left end with their drivers."""
        if self._gateway is not None:
            self._gateway.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process.stdin.close()
        self._log.close()

    def _start_java(self) -> None:
        port, token, self._process = launch_gateway(
            classpath=":".join([*map(str, find_minicluster()), f"{JARS}/*"]),
            javaopts=["-Xmx512m", f"-Dtest.build.data={self._folder / 'data'}"],
            java_path=str(find_java(os.environ).home / "bin" / "java"),
            die_on_exit=True,
            enable_auth=True,
            redirect_stdout=self._log,
            redirect_stderr=self._log,
            return_proc=True,
            cwd=str(self._folder),
        )
        self._gateway = JavaGateway(
            gateway_parameters=GatewayParameters(port=port, auth_token=token, auto_convert=True)
        )
