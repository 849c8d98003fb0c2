"""A Sphinx extension: ``{picture} PAGE NUMBER`` shows a picture that the code of a page draws."""

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


class picture(nodes.General, nodes.Element):
    """Stands for the picture until all pages are read."""


class Picture(SphinxDirective):
    """The picture of a page, counted from 0 in the order of its outputs."""

    required_arguments = 1
    optional_arguments = 1

    def run(self):
        number = int(self.arguments[1]) if len(self.arguments) > 1 else 0
        return [picture(page=self.arguments[0], number=number)]


def setup(app):
    """Add the directive, and put pictures in the place of its nodes."""
    app.add_node(picture)
    app.add_directive("picture", Picture)
    app.connect("doctree-resolved", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def insert(app, doctree, name):
    """Replace the nodes by images that the other page has as well."""
    for node in list(doctree.findall(picture)):
        found = list(app.env.get_doctree(node["page"]).findall(nodes.image))
        drawn = [image for image in found if "jupyter_execute" in image["uri"]]
        if node["number"] < len(drawn):
            node.replace_self(drawn[node["number"]].deepcopy())
            continue
        if app.config.nb_execution_mode != "off":
            logger.warning("%s draws %d pictures", node["page"], len(drawn), location=name)
        node.parent.remove(node)
