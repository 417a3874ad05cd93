"""SVG: well-formed, the curves of the commands, and as a browser draws it."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from environments import painting
from tests.environments.painting import golden

_NAME = '{http://www.w3.org/2000/svg}'


def _program(**parts):
  """Returns a stroke, a move, and two strokes in one go; five-fold grid."""
  settings = painting.PaintingSettings(
      canvas_size=50, grid_size=5, colour=True
  )
  commands = {
      'flag': [1, 0, 1, 1],
      'end': [6, 7, 13, 14],
      'control': [1, 0, 12, 9],
      'size': [0, 0, 1, 2],
      'pressure': [9, 9, 9, 4],
      'red': [19, 0, 0, 0],
      'green': [0, 0, 0, 0],
      'blue': [0, 0, 0, 0],
      **parts,
  }
  return painting.Program(settings, commands)


def _paths(text):
  root = ElementTree.fromstring(text)
  assert root.tag == f'{_NAME}svg'
  return root, list(root.iter(f'{_NAME}path'))


def test_paths_are_the_curves_with_width_opacity_and_colour():
  root, paths = _paths(_program().to_svg())
  assert root.get('viewBox') == '0 0 50 50'
  assert [path.get('d') for path in paths] == [
      'M0,0Q10,0 10,10', 'M20,10Q20,20 30,20', 'M30,20Q40,10 40,20',
  ]
  assert [path.get('stroke') for path in paths] == [
      '#ff0000', '#000000', '#000000',
  ]
  # Pens add half their logarithm at full pressure.
  widths = [float(path.get('stroke-width')) for path in paths]
  mean = (1.0 + 0.5) / 2
  expected = [2 * np.exp(0.5), 4 * np.exp(0.5), 6 * np.exp(0.5 * mean)]
  np.testing.assert_allclose(widths, expected, rtol=1e-3)
  assert all(path.get('stroke-opacity') == '1' for path in paths)
  (paper,) = root.iter(f'{_NAME}rect')
  assert paper.get('fill') == '#ffffff' and paper.get('width') == '50'


def test_opacity_and_width_are_of_the_brush():
  pen, other = (
      _paths(_program().to_svg(brush=brush))[1]
      for brush in ('classic/pen', 'classic/modelling')
  )
  assert [p.get('d') for p in pen] == [p.get('d') for p in other]
  assert 0.05 < float(other[0].get('stroke-opacity')) < 0.95
  with pytest.raises(ValueError, match='classic/pn'):
    _program().to_svg(brush='classic/pn')


def test_transparent_paper_is_black_as_the_canvas_shows_it():
  settings = painting.PaintingSettings(background='transparent')
  program = painting.Program(
      settings, {name: [0] for name in settings.action_spec()}
  )
  root, paths = _paths(program.to_svg())
  assert next(root.iter(f'{_NAME}rect')).get('fill') == '#000000'
  assert not paths and program.render().max() == 0


def test_centre_lines_are_in_millimetres_and_one_path_until_the_pen_lifts():
  black = _program(red=[0, 0, 0, 0])
  text = black.to_svg(centre_lines=True, millimetres=200)
  root, paths = _paths(text)
  assert (root.get('width'), root.get('height')) == ('200mm', '200mm')
  assert root.get('viewBox') == '0 0 200 200'
  assert [path.get('d') for path in paths] == [
      'M0,0Q40,0 40,40', 'M80,40Q80,80 120,80Q160,40 160,80',
  ]
  assert not list(root.iter(f'{_NAME}rect'))
  assert 'opacity' not in text
  assert len({path.get('stroke-width') for path in paths}) == 1
  assert _paths(_program().to_svg(centre_lines=True))[0].get('width') == '100mm'


def test_a_plotter_changes_pens_between_paths():
  program = _program(red=[19, 0, 0, 19])
  _, paths = _paths(program.to_svg(centre_lines=True))
  assert [path.get('stroke') for path in paths] == [
      '#ff0000', '#000000', '#ff0000',
  ]


def test_physical_size_of_the_picture():
  root, _ = _paths(_program().to_svg(millimetres=80.5))
  assert (root.get('width'), root.get('viewBox')) == ('80.5mm', '0 0 50 50')


@pytest.mark.parametrize('millimetres', [0, -1, float('nan'), float('inf')])
def test_millimetres_out_of_range(millimetres):
  with pytest.raises(ValueError, match=f'millimetres is {millimetres}'):
    _program().to_svg(centre_lines=True, millimetres=millimetres)


def test_every_golden_program_is_well_formed():
  for program, _ in golden.programs():
    count = int(np.sum(program.commands['flag']))
    text = program.to_svg()
    assert len(_paths(text)[1]) == count
    lines = _paths(program.to_svg(centre_lines=True))[1]
    assert sum(path.get('d').count('Q') for path in lines) == count
    assert not re.search(r'nan|inf|\de-', text)


def test_a_browser_draws_what_a_pen_painted(page, tmp_path):
  tried = 0
  for program, canvases in golden.programs('classic/pen'):
    if program.settings.colour:
      continue
    path = tmp_path / 'drawing.svg'
    path.write_text(program.to_svg())
    page.open(path)
    seen = page.screenshot()[:64, :64].mean(-1)
    painted = canvases[-1, ..., 0]
    assert np.corrcoef(seen.ravel(), painted.ravel())[0, 1] >= 0.8
    # Another program's canvas is no such match.
    other = canvases[3, ..., 0]
    assert np.corrcoef(seen.ravel(), other.ravel())[0, 1] < 0.8
    tried += 1
  assert tried >= 3
  assert not page.console
