"""The notebook of drawing runs: a search, other brushes, files."""

from environments import painting
from tests.experiments.notebooks import notebook


def test_it_paints_and_keeps_the_program(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  names, _ = notebook.run(
      'drawing', monkeypatch, STROKES=10, SECONDS=2.0, SIZE=128
  )
  program = names['program']
  assert isinstance(program, painting.Program)
  assert 0 < program.commands['flag'].sum() <= 10
  assert names['errors'][-1] < 0.6 * names['errors'][0]
  assert names['frames'].shape[:2] == (5, 64)
  assert names['again'] == program
  assert (tmp_path / 'drawing.svg').read_text() == program.to_svg()
  assert all(picture.shape[0] == 64 for picture in names['others'])
