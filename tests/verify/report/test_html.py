from matplotlib.figure import Figure

from flexclim.verify.report.html import document, facts, folded, pair, picture


def test_texts_are_escaped():
    text = facts({"<b>": "1 < 2"}) + folded("a & b", "<p>kept</p>")
    assert "<dt>&lt;b&gt;</dt><dd>1 &lt; 2</dd>" in text
    assert "<summary>a &amp; b</summary><p>kept</p>" in text
    assert "<title>u &amp; v</title>" in document("u & v", "")


def test_a_picture_is_embedded_with_its_name_and_caption():
    text = pair(picture(Figure(figsize=(1, 1)), 'the "name"', "x < y"))
    assert 'alt="the &quot;name&quot;" src="data:image/png;base64,iVBOR' in text
    assert "<figcaption>x &lt; y</figcaption>" in text
