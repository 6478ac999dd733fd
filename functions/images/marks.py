"""The mark in a picture's XMP that says how it was made: IPTC's Digital Source Type.

https://www.iptc.org/std/photometadata/specification/ (Digital Source Type) and
https://cv.iptc.org/newscodes/digitalsourcetype/
"""

from enum import StrEnum

# Where PNG keeps XMP: Adobe's XMP Specification, part 3, section 1.1.5.
PNG_KEYWORD = "XML:com.adobe.xmp"
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype"
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
Iptc4xmpExt:DigitalSourceType="{uri}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>"""


class SourceType(StrEnum):
    """Made by a model that learned from pictures, or by a program alone."""

    TRAINED_ALGORITHMIC_MEDIA = "trainedAlgorithmicMedia"
    ALGORITHMIC_MEDIA = "algorithmicMedia"


def xmp(source_type: SourceType) -> str:
    """The XMP packet to put into a picture."""
    return PACKET.format(uri=f"{VOCABULARY}/{source_type}")
