"""Trains an agent to draw handwritten characters (Omniglot), then evaluates it.

  python experiments/omniglot.py --flagfile=<one of these four>

In experiments/flags, omniglot.flags and omniglot_unconditional.flags are the
paper's runs, omniglot_cpu.flags and omniglot_unconditional_cpu.flags those for
two CPU cores.  It learns from the background set alone and is evaluated on the
evaluation set, whose alphabets it never saw.

--data_dir names a folder with images_background.zip and images_evaluation.zip,
or with these archives unpacked; without it, a subset that comes with the
package is drawn.  What the agent makes of other line drawings:

  python experiments/evaluate.py --run_dir=runs/omniglot_cpu --dataset=mnist
  python experiments/draw.py --image=sketches/ --checkpoint=runs/omniglot_cpu
"""

import experiment

if __name__ == '__main__':
  experiment.run('omniglot')
