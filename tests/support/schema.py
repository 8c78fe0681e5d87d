"""JSON schemas of our outputs, as tests take them."""


def strict(node):
    """The schema lets later releases add fields; of this release it must name each one."""
    if isinstance(node, list):
        return [strict(x) for x in node]
    if not isinstance(node, dict):
        return node
    node = {k: strict(v) for k, v in node.items()}
    if "properties" in node and isinstance(node["properties"], dict):
        assert set(node["required"]) <= set(node["properties"])
        node["additionalProperties"] = False
    return node
