"""The two public documents: whether this API is available, and what it offers.

Source: IVOA Support Interfaces 1.1; servers up to 1.4.0; skaha 1.7.0 needs `note`.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from aiohttp import web

from jupyter_sessions.manager.skaha.rows import origin

_AVAILABILITY = "http://www.ivoa.net/xml/VOSIAvailability/v1.0"
_CAPABILITIES = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"
_RESOURCE = "http://www.ivoa.net/xml/VODataService/v1.1"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_BY_TOKEN = "ivo://ivoa.net/sso#token"  # noqa: S105
_OFFERS = {
    "ivo://ivoa.net/std/VOSI#capabilities": ("capabilities", "full", None),
    "ivo://ivoa.net/std/VOSI#availability": ("availability", "full", None),
    "vos://cadc.nrc.ca~vospace/CADC/std/Proc#sessions-1.0": ("v0", "base", _BY_TOKEN),
    "http://www.opencadc.org/std/platform#session-1": ("v1", "base", _BY_TOKEN),
}

ET.register_namespace("vosi", _AVAILABILITY)
ET.register_namespace("cap", _CAPABILITIES)


async def availability(request: web.Request) -> web.Response:
    """Answer GET /skaha/availability: this API is available."""
    root = ET.Element(f"{{{_AVAILABILITY}}}availability")
    ET.SubElement(root, f"{{{_AVAILABILITY}}}available").text = "true"
    ET.SubElement(root, f"{{{_AVAILABILITY}}}note").text = "service is accepting requests."
    return _xml(root)


async def capabilities(request: web.Request) -> web.Response:
    """Answer GET /skaha/capabilities: the addresses of this API, and how to sign in."""
    root = ET.Element(f"{{{_CAPABILITIES}}}capabilities")
    for standard, (path, use, security) in _OFFERS.items():
        capability = ET.SubElement(root, "capability", standardID=standard)
        interface = ET.SubElement(capability, "interface", {_TYPE: "vs:ParamHTTP", "role": "std"})
        ET.SubElement(interface, "accessURL", use=use).text = f"{origin(request)}/skaha/{path}"
        if security:
            ET.SubElement(interface, "securityMethod", standardID=security)
    root.set("xmlns:vs", _RESOURCE)
    return _xml(root)


def _xml(root: ET.Element) -> web.Response:
    return web.Response(
        body=ET.tostring(root, encoding="utf-8", xml_declaration=True),
        content_type="text/xml",
        charset="utf-8",
    )
