"""Strokes from SVG, InkML and Omniglot's files."""

import numpy as np
import pytest

from spiral_jax.datasets import ink_files

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="10 20 200 100"'
    ' width="50mm">{}</svg>'
)


def _read(tmp_path, name, text):
  path = tmp_path / name
  path.write_text(text, encoding='utf-8')
  return ink_files.read(path)


def test_svg_paths_in_the_coordinates_of_the_picture(tmp_path):
  pytest.importorskip('svgpathtools')
  ink = _read(
      tmp_path,
      'a.svg',
      _SVG.format(
          '<g transform="translate(5,0)">'
          '<path d="M10,20 L110,20 M10,60 Q60,120 110,60" stroke-width="4"/>'
          '</g><line x1="10" y1="70" x2="60" y2="70"'
          ' style="fill:none;stroke-width:3px"/>'
      ),
  )
  assert ink.shape == (100, 200) and len(ink.strokes) == 3
  first, curve, straight = ink.strokes
  assert ink.widths == [4, 4, 3]
  np.testing.assert_allclose(first, [[5, 0], [105, 0]])
  assert len(curve) >= 8
  np.testing.assert_allclose(curve[0], [5, 40])
  assert curve[:, 1].max() == pytest.approx(70, abs=0.5)
  np.testing.assert_allclose(straight, [[0, 50], [50, 50]])


def test_inkml_traces(tmp_path):
  ink = _read(
      tmp_path,
      'a.inkml',
      '<ink xmlns="http://www.w3.org/2003/InkML"><traceFormat>'
      '<channel name="Y"/><channel name="X"/></traceFormat>'
      '<trace>0 10, 5 20, 10 30</trace><trace> 2 40 </trace></ink>',
  )
  first, second = ink.strokes
  # Y comes first there; the least x is a margin away from the paper's edge.
  np.testing.assert_allclose(np.diff(first, axis=0), [[10, 5], [10, 5]])
  np.testing.assert_allclose(second[0] - first[0], [30, 2])
  assert first.min() > 0 and ink.shape[1] > 30


def test_omniglot_strokes_have_y_upwards(tmp_path):
  ink = _read(
      tmp_path, 'a.txt', 'START\n10,-20,0\n30,-40,1\nBREAK\n50,-60,2\nBREAK\n'
  )
  np.testing.assert_array_equal(ink.strokes[0], [[10, 20], [30, 40]])
  np.testing.assert_array_equal(ink.strokes[1], [[50, 60]])
  assert ink.shape == (105, 105)


@pytest.mark.parametrize(
    'name, text, words',
    [
        ('a.svg', '<svg', 'not a valid .svg file'),
        ('a.svg', _SVG.format(''), 'has no strokes'),
        ('a.svg', _SVG.format('<path d="M0,0 L,"/>'), ''),
        (
            'a.inkml',
            '<ink><trace>a b</trace></ink>',
            'other than plain numbers',
        ),
        ('a.inkml', '<ink><trace>1</trace></ink>', 'not a valid'),
        ('a.inkml', '<ink><trace>1 nan</trace></ink>', 'no number'),
        ('a.txt', 'hello', 'begins with START'),
        ('a.txt', 'START\n1;2', "'1;2', must be x,y,t"),
        ('a.txt', 'START', 'has no strokes'),
        ('a.png', '', 'is no file of strokes'),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, name, text, words):
  pytest.importorskip('svgpathtools')
  with pytest.raises(ValueError) as error:
    _read(tmp_path, name, text)
  message = str(error.value)
  assert words in message and name in message and '\n' not in message


def test_missing_files(tmp_path):
  with pytest.raises(FileNotFoundError, match='does not exist'):
    ink_files.read(tmp_path / 'a.svg')


def test_of_svg_lines_are_drawn_and_areas_are_not(tmp_path):
  pytest.importorskip('svgpathtools')
  ink = _read(
      tmp_path,
      'a.svg',
      _SVG.format(
          '<defs><path d="M0,0 L1,1"/></defs>'
          '<rect width="100%" height="100%" fill="white"/>'
          '<rect x="10" y="20" width="200" height="100" fill="#ffe4c0"/>'
          '<g stroke="red" stroke-width="2" transform="scale(5)" fill="blue">'
          '<polyline points="2,4 10,4 10,10"/></g>'
          '<circle cx="60" cy="70" r="20" stroke="black" stroke-width="-3"/>'
      ),
  )
  corner, circle = ink.strokes
  np.testing.assert_allclose(corner, [[0, 0], [40, 0], [40, 30]])
  # Widths are inherited and scaled; what states none has the usual one.
  assert ink.widths == pytest.approx([10, 10])
  np.testing.assert_allclose(np.hypot(*(circle - [50, 50]).T), 20, atol=1e-6)


def test_of_svg_what_cannot_be_read_is_left_out(tmp_path, caplog):
  pytest.importorskip('svgpathtools')
  text = (
      '<path stroke="black" d="M0,0 A5,5 0 0 1 0,0"/>'
      '<path stroke="black" d="M10,20 L60,20"/>'
  )
  ink = _read(tmp_path, 'a.svg', _SVG.format(text))
  np.testing.assert_allclose(ink.strokes[-1], [[0, 0], [50, 0]])
  without = '<svg width="100%" height="100%"><path d="M5,5 L25,5"/></svg>'
  fitted = _read(tmp_path, 'b.svg', without)
  assert fitted.shape[1] < 30  # Paper a little larger than the line.


def test_encodings_that_nobody_knows(tmp_path):
  path = tmp_path / 'a.inkml'
  path.write_text('<?xml version="1.0" encoding="foo"?><ink/>')
  with pytest.raises(ValueError, match='not a valid .inkml file'):
    ink_files.read(path)


def test_of_svg_what_lies_beside_the_page_is_cut_off(tmp_path):
  pytest.importorskip('svgpathtools')
  ink = _read(
      tmp_path,
      'a.svg',
      _SVG.format(
          '<path d="M-100,70 L400,70" stroke="black"/>'
          '<path d="M500,500 L600,600" stroke="black"/>'
      ),
  )
  (stroke,) = ink.strokes
  np.testing.assert_allclose(stroke[:, 1], 50)
  assert 0 <= stroke[:, 0].min() < 3 and 197 < stroke[:, 0].max() <= 200


def test_pages_in_other_units_are_fitted_to_their_ink(tmp_path):
  pytest.importorskip('svgpathtools')
  text = '<svg width="100mm" height="100mm"><path d="M0,0 L370,10"/></svg>'
  ink = _read(tmp_path, 'a.svg', text)
  assert ink.shape[1] > 370 and len(ink.strokes) == 1


def test_what_a_pen_does_above_the_paper_is_no_ink(tmp_path):
  ink = _read(
      tmp_path,
      'a.inkml',
      '<ink><trace>0 0, 10 10</trace><trace type="penUp">10 10, 50 0</trace>'
      '</ink>',
  )
  assert len(ink.strokes) == 1
