"""The mark that says how a picture was made."""

from xml.etree import ElementTree

import pytest

from images.marks import SourceType, xmp

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


@pytest.mark.parametrize(
    ("source_type", "uri"),
    [
        (SourceType.ALGORITHMIC_MEDIA, "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"),
        (
            SourceType.TRAINED_ALGORITHMIC_MEDIA,
            "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        ),
    ],
)
def test_the_packet_names_the_source_type(source_type: SourceType, uri: str) -> None:
    """An XML reader finds IPTC's own address of the term, and nothing else is said."""
    tree = ElementTree.fromstring(xmp(source_type))
    [description] = tree.iter(f"{RDF}Description")
    assert description.attrib == {f"{RDF}about": "", f"{EXT}DigitalSourceType": uri}


def test_the_packet_has_its_wrapper() -> None:
    """Readers that search a file's bytes for XMP look for it."""
    packet = xmp(SourceType.ALGORITHMIC_MEDIA)
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="r"?>')
