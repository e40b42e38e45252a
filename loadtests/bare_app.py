"""What the gateway is compared with: handlers that do nothing, under the gateway's Serve settings.

It is the gateway's own deployment with another application in it, so that replicas, limits,
logging and ingress are the same by construction. Its handlers do the least that answers such
requests: they read the body and give a constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ray
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from ray import serve

from serve_apps.gateway import app as gateway_app

if TYPE_CHECKING:
    from ray.serve import Application

    from serve_apps.settings import Settings

NAME: Final = "bare"
PREFIX: Final = "/bare"


def handlers() -> FastAPI:
    """The application: the paths of the gateway that are compared, and nothing behind them."""
    app = FastAPI()

    @app.post("/v1/mesh/messages")
    async def messages(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"accepted": 1})

    @app.get("/v1/mesh/routes/{source}/{destination}")
    async def routes(source: str, destination: str) -> JSONResponse:
        return JSONResponse({"source": source, "destination": destination})

    return app


def deploy(settings: Settings) -> None:
    """Serve it below `PREFIX`, beside the gateway of these settings; return once it answers.

    By a task of the cluster, as the gateway is: Serve takes its switches from the environment.
    """
    remote: Any = ray.remote(_deploy)
    ray.get(remote.options(num_cpus=0, max_retries=0).remote(settings))


def application(settings: Settings) -> Application:
    """The Serve application: the gateway's, with `handlers` in place of the gateway."""
    given = {"state_dir": settings.state_dir, "namespace": settings.namespace}
    gateway = gateway_app.app({**given, "log_level": settings.log_level})
    model = gateway._bound_deployment  # noqa: SLF001 - what Ray shows of it lacks some settings
    bare: Any = model.options(func_or_class=serve.ingress(handlers)(), name=NAME)
    bound: Application = bare.bind()
    return bound


def _deploy(settings: Settings) -> None:
    serve.run(application(settings), name=NAME, route_prefix=PREFIX)
