"""The services and the endpoint as main.py builds them, with other settings or another connection."""

import os
from typing import Any

import config
import services
from api.endpoint import Endpoint
from config import AUTH_HOST, FIRESTORE_HOST, Settings
from credits.audit import Audit
from handlers import Services
from store import Connection, Store
from tests.support.calls import InProcess
from tests.support.projects import Project
from tests.support.servers import TEST_SETTINGS


def settings_of(project: Project, **settings: str) -> Settings:
    """The settings of tests on this project, but for these changes."""
    emulators = {name: os.environ[name] for name in (FIRESTORE_HOST, AUTH_HOST) if name in os.environ}
    return config.load({**emulators, **TEST_SETTINGS, "GCLOUD_PROJECT": project.id, **settings})


def assembled(
    project: Project,
    connection: Connection | None = None,
    settings: Settings | None = None,
    **overrides: Any,
) -> Services:
    """Services on a project; the overrides are those of services.build."""
    return services.build(
        settings or settings_of(project),
        connect=lambda: connection or project.connection,
        **overrides,
    )


def in_process(project: Project, connection: Connection | None = None, /, **changes: str) -> InProcess:
    """Every function with these changed settings, in this process."""
    settings = settings_of(project, **changes)
    return InProcess(Endpoint.build(settings, assembled(project, connection, settings=settings)))


def audit_of(project: Project) -> Audit:
    """The audit of a project's ledger."""
    return Audit(Store(lambda: project.connection))
