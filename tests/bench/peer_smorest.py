"""The peer: a bare flask-smorest endpoint that validates the same declaration and stores nothing."""

from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint

from api.schemas.psmp import DeclareSchema

app = Flask("bare")
app.config.update(API_TITLE="bare", API_VERSION="v1", OPENAPI_VERSION="3.1.0")
blueprint = Blueprint("bare", "bare", url_prefix="/")


@blueprint.route("/validate")
class Validate(MethodView):
    """Validates and answers."""

    @blueprint.arguments(DeclareSchema)
    @blueprint.response(202)
    def post(self, document: dict[str, object]) -> dict[str, object]:
        return {"id": document["name"]}


Api(app).register_blueprint(blueprint)
