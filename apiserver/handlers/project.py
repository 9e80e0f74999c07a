"""Routes of projects."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, project

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class ProjectQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[str, msgspec.Meta(max_length=63, description="only those of this tenant and below")] = ""


class NewProject(project.Spec, kw_only=True):
    """A project to be opened."""

    tenant: Code
    code: Code


class Project(msgspec.Struct, kw_only=True):
    """A project as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


def list_projects(tx: Any, call: route.Call) -> Any:
    """Projects that the caller sees, by tenant and code."""
    rows = project.list_projects(tx, call.who, tenant=call.query.tenant)
    return page.whole(rows, call, lambda row: [row["metadata"]["tenant"], row["metadata"]["name"]])


def show_project(tx: Any, call: route.Call) -> Any:
    """One project."""
    return project.show_project(tx, call.who, call.path["tenant"], call.path["project"])


def create_project(call: route.Call) -> case.UseCase:
    """Open a project of a tenant."""
    return project.create_project(call.body.tenant, call.body.code, call.body.name)


def update_project(call: route.Call) -> case.UseCase:
    """Another name for a project."""
    return project.update_project(call.path["tenant"], call.path["project"], call.body.name, if_match=call.context.if_match)


ROUTES = [
    route.read("GET", "/v1/projects", "project.list", list_projects, query=ProjectQuery, answer=page.Page[Project]),
    route.change("POST", "/v1/projects", "project.create", create_project, body=NewProject, answer=Project, status=201),
    route.read("GET", "/v1/projects/{tenant}/{project}", "project.show", show_project, answer=Project),
    route.change("PATCH", "/v1/projects/{tenant}/{project}", "project.update", update_project, body=project.Spec, answer=Project),
]
