"""Shows what the network of a job sees in images that somebody sends."""

from fastapi import APIRouter
from starlette.responses import Response

from service.api.ask import Asked
from service.commands.networks.sent_images import MOST_IMAGES, SentImage, predict_sent
from service.domain.jobs import JobId
from service.web.answer import PageRoute, show, visit_by
from service.web.multipart import read_parts
from service.web.parts import Page

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post("/jobs/{job}/predict")
def predict(ask: Asked, job: int) -> Response:
    """Classify images; the page is made of the answer alone, since nothing is kept."""
    actor = ask.get_actor()
    with ask.service.shares.take(actor.name):
        parts = read_parts(ask.body, ask.request.headers.get("content-type", ""), most=MOST_IMAGES + 1)
        images = [SentImage(name=part.file_name, content=part.content) for part in parts if part.file_name]
        found = predict_sent(ask.service.store, ask.service.settings, JobId(job), images, actor=actor)
        page = Page(
            title=f"What job {job} sees",
            template="predict",
            command=f"cnnctl predict {job} IMAGE…",
            parts=[],
            values={"job": job, "found": found, "most": MOST_IMAGES},
        )
        return show(page, visit_by(ask, actor))
