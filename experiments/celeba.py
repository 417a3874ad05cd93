"""Trains an agent to paint faces in color (CelebA), then evaluates it.

  python experiments/celeba.py --flagfile=<one of these two>

experiments/flags/celeba.flags is the paper's run and
experiments/flags/celeba_cpu.flags one for two CPU cores.  --reward is the
discriminator or l2; --color_cost adds a penalty for other colors than the
target's, wherever they are.

--data_dir names a folder with img_align_celeba.zip, or with that archive
unpacked, and with list_eval_partition.txt; faces are decoded once, into the
user's cache.  Without it, portraits that come with the package are painted.
"""

import experiment

if __name__ == '__main__':
  experiment.run('celeba')
