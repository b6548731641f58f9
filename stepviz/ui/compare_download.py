"""GET /stepviz/compare/FORMAT?…: the table of a comparison, as the address filters it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from db.store import Store
from stepviz.compare_report import FORMATS, written
from stepviz.errors import StepvizError
from stepviz.ui.compare_at import parse
from stepviz.ui.signed_in import admins_only
from stepviz.ui.view_compare import Comparisons
from stepviz.ui.workbench import Workbench

_MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


def compare_route(store: Store) -> Route:
    """For the app's routes; it stands before the static files, whose path it shares."""
    read = Comparisons(Workbench(store))

    def download(request: Request) -> Response:  # not async: reading the draws must not stop the server
        format, at = request.path_params["format"], parse(request.url.query)
        if format not in FORMATS:
            return PlainTextResponse(f"There is no such format; there are: {', '.join(FORMATS)}", status_code=404)
        try:
            text = written(read.table(at), format)
        except StepvizError as error:
            return PlainTextResponse(str(error), status_code=404)
        headers = {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Disposition": f'attachment; filename="comparison.{format}"',
        }
        return Response(text, media_type=_MEDIA[format], headers=headers)

    return Route("/stepviz/compare/{format}", admins_only(store, download), methods=["GET"])
