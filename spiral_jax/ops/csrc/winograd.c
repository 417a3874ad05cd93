#include "winograd.h"

#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"
#include "microkernel.h"
#include "padding.h"
#include "scratch.h"
#include "winograd_transforms.h"

enum { kTaps = kFilterSize * kFilterSize };
/* Tiles that are transformed at once: they stay in the L2 cache. */
enum { kTilesAtOnce = 32 };

int winograd_fits(const ConvShape *shape) {
  return shape->kernel_size == kFilterSize && shape->stride == 1 &&
         shape->height % kOutputTile == 0 && shape->width % kOutputTile == 0 &&
         shape->in_channels % kChannelGroup == 0 &&
         shape->out_channels % kChannelGroup == 0;
}

/* A band is one row of tiles of one image. The bands of all images are numbered
 * consecutively, and several are transformed at once. */
typedef struct {
  int64_t bands_per_image, tiles_per_band, bands_at_once;
} Bands;

static Bands bands_of(const ConvShape *shape) {
  const int64_t tiles_per_band = shape->width / kOutputTile;
  return (Bands){
      .bands_per_image = shape->height / kOutputTile,
      .tiles_per_band = tiles_per_band,
      .bands_at_once =
          tiles_per_band < kTilesAtOnce ? kTilesAtOnce / tiles_per_band : 1,
  };
}

/* The scratch memory of one call. */
typedef struct {
  PaddedImage image;
  float *transformed_input; /* [kElements, tiles, in]. */
  float
      *transformed_output; /* [kElements, tiles, out], or in channel blocks. */
  float *transformed_filter; /* [kElements, blocks, in, kChannelBlock]. */
  float *flipped_kernel;     /* [kFilterSize, kFilterSize, in, out]. */
} Workspace;

/* Returns the floats from one element of all transformed tiles to the next. A
 * group is left free so that it is not a whole number of pages: elements would
 * evict each other from the cache. */
static int64_t tile_element_stride(int64_t tiles, int64_t channels) {
  return tiles * channels + kChannelGroup;
}

/* Returns the same for transformed filters. */
static int64_t filter_element_stride(const ConvShape *shape) {
  return num_channel_blocks(shape->out_channels) * shape->in_channels *
             kChannelBlock +
         kChannelGroup;
}

/* Places the arrays in scratch memory; returns 0 if it is exhausted, else 1. */
static int get_workspace(const ConvShape *shape, Workspace *workspace) {
  const Bands bands = bands_of(shape);
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t tiles = bands.bands_at_once * bands.tiles_per_band;
  const int64_t height = shape->height + kFilterSize - 1;
  const int64_t width = shape->width + kFilterSize - 1;
  const int64_t sizes[] = {
      height * width * in,
      kElements * tile_element_stride(tiles, in),
      kElements *
          tile_element_stride(tiles, num_channel_blocks(out) * kChannelBlock),
      kElements * filter_element_stride(shape),
      kTaps * in * out,
  };
  float **arrays[] = {
      &workspace->image.data,         &workspace->transformed_input,
      &workspace->transformed_output, &workspace->transformed_filter,
      &workspace->flipped_kernel,
  };
  enum { kArrays = sizeof(sizes) / sizeof(*sizes) };
  int64_t size = 0;
  for (int i = 0; i < kArrays; ++i) size += sizes[i];
  float *data = get_scratch(size);
  if (data == NULL) return 0;
  workspace->image = (PaddedImage){
      .height = shape->height,
      .width = shape->width,
      .channels = in,
      .top = 1,
      .left = 1,
      .row_stride = width * in,
  };
  for (int i = 0; i < kArrays; data += sizes[i++]) *arrays[i] = data;
  memset(workspace->image.data, 0, sizes[0] * sizeof(float));
  return 1;
}

/* Transforms a kernel [kFilterSize, kFilterSize, in, out] to [kElements,
 * blocks, in, kChannelBlock], or with the adjoint transform the other way
 * around. */
static void transform_kernel(const ConvShape *shape,
                             void (*transform)(const FilterGroup *),
                             float *kernel, float *transformed) {
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t block_size = in * kChannelBlock;
  for (int64_t i = 0; i < in; ++i)
    for (int64_t o = 0; o < out; o += kChannelGroup)
      transform(&(FilterGroup){
          .filters = kernel + i * out + o,
          .tap_stride = in * out,
          .transformed = transformed + o / kChannelBlock * block_size +
                         i * kChannelBlock + o % kChannelBlock,
          .element_stride = filter_element_stride(shape),
      });
}

/* Writes the transformed input of `count` bands from `first` on. */
static void transform_input(const ConvShape *shape, const Bands *bands,
                            const Workspace *workspace, const float *images,
                            int64_t first, int64_t count) {
  const PaddedImage *image = &workspace->image;
  const int64_t size = shape->height * shape->width * shape->in_channels;
  for (int64_t b = first; b < first + count; ++b) {
    const int64_t y = b % bands->bands_per_image;
    if (y == 0 || b == first)
      pad(image, images + b / bands->bands_per_image * size, shape->rectify);
    transforms()->transform_input(&(TileRow){
        .pixels = image->data + y * kOutputTile * image->row_stride,
        .row_stride = image->row_stride,
        .column_stride = shape->in_channels,
        .transformed = workspace->transformed_input +
                       (b - first) * bands->tiles_per_band * shape->in_channels,
        .tile_stride = shape->in_channels,
        .element_stride = tile_element_stride(count * bands->tiles_per_band,
                                              shape->in_channels),
        .num_tiles = bands->tiles_per_band,
        .num_groups = shape->in_channels / kChannelGroup,
    });
  }
}

/* Computes `conv`, masked by `relu_mask` as in TileRow. */
static void convolve(const ConvShape *shape, const Workspace *workspace,
                     const float *images, const float *kernel,
                     const float *bias, int64_t bias_stride,
                     const float *relu_mask, const float *add, float *output) {
  static const float kNoBias[kChannelBlock] = {0};
  const Bands bands = bands_of(shape);
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t blocks = num_channel_blocks(out);
  const int64_t all = shape->n * bands.bands_per_image;
  transform_kernel(shape, transforms()->transform_filter, (float *)kernel,
                   workspace->transformed_filter);
  for (int64_t first = 0; first < all; first += bands.bands_at_once) {
    const int64_t count = min(bands.bands_at_once, all - first);
    const int64_t tiles = count * bands.tiles_per_band;
    transform_input(shape, &bands, workspace, images, first, count);
    for (int64_t element = 0; element < kElements; ++element)
      for (int64_t block = 0; block < blocks; ++block)
        microkernels()->multiply_patches(&(PatchProduct){
            .input = workspace->transformed_input +
                     element * tile_element_stride(tiles, in),
            .input_column_stride = in,
            .output = workspace->transformed_output +
                      element * tile_element_stride(tiles, out) +
                      block * kChannelBlock,
            .output_column_stride = out,
            .height = 1,
            .width = tiles,
            .num_segments = 1,
            .segment_size = in,
            .kernel = workspace->transformed_filter +
                      element * filter_element_stride(shape) +
                      block * in * kChannelBlock,
            .channels = min(kChannelBlock, out - block * kChannelBlock),
            .bias = kNoBias,
        });
    for (int64_t b = first; b < first + count; ++b) {
      const int64_t offset = b * kOutputTile * shape->width * out;
      transforms()->transform_output(&(TileRow){
          .pixels = output + offset,
          .row_stride = shape->width * out,
          .column_stride = out,
          .transformed = workspace->transformed_output +
                         (b - first) * bands.tiles_per_band * out,
          .tile_stride = out,
          .element_stride = tile_element_stride(tiles, out),
          .num_tiles = bands.tiles_per_band,
          .num_groups = out / kChannelGroup,
          .bias = bias + b / bands.bands_per_image * bias_stride,
          .relu_mask = offset_or_null(relu_mask, offset),
          .add = offset_or_null(add, offset),
      });
    }
  }
}

int winograd_conv(const ConvShape *shape, const float *images,
                  const float *kernel, const float *bias, int64_t bias_stride,
                  const float *add, float *output) {
  Workspace workspace;
  if (!get_workspace(shape, &workspace)) return -1;
  convolve(shape, &workspace, images, kernel, bias, bias_stride, NULL, add,
           output);
  return 0;
}

int winograd_conv_transpose(const ConvShape *shape, const float *gradient,
                            const float *kernel, const float *images,
                            const float *add, float *images_gradient) {
  const int64_t in = shape->in_channels, out = shape->out_channels;
  ConvShape transposed = *shape;
  transposed.in_channels = out;
  transposed.out_channels = in;
  transposed.rectify = 0;
  Workspace workspace;
  float *no_bias = calloc(in, sizeof(float));
  const int ok = no_bias != NULL && get_workspace(&transposed, &workspace);
  if (ok) {
    /* The transpose is a convolution with the flipped kernel. */
    for (int64_t tap = 0; tap < kTaps; ++tap)
      for (int64_t i = 0; i < in; ++i)
        for (int64_t o = 0; o < out; ++o)
          workspace.flipped_kernel[((kTaps - 1 - tap) * out + o) * in + i] =
              kernel[(tap * in + i) * out + o];
    convolve(&transposed, &workspace, gradient, workspace.flipped_kernel,
             no_bias, 0, shape->rectify ? images : NULL, add, images_gradient);
  }
  free(no_bias);
  return ok ? 0 : -1;
}

/* Writes the sums over each image's pixels, [n, channels]. */
static void sum_pixels(const float *images, int64_t n, int64_t pixels,
                       int64_t channels, float *sums) {
  memset(sums, 0, n * channels * sizeof(float));
  for (int64_t i = 0; i < n; ++i, sums += channels)
    for (int64_t p = 0; p < pixels; ++p, images += channels)
      for (int64_t c = 0; c < channels; ++c) sums[c] += images[c];
}

int winograd_conv_gradients(const ConvShape *shape, const float *images,
                            const float *gradient, float *kernel_gradient,
                            float *bias_gradient) {
  const Bands bands = bands_of(shape);
  const int64_t in = shape->in_channels, out = shape->out_channels;
  const int64_t blocks = num_channel_blocks(out);
  const int64_t all = shape->n * bands.bands_per_image;
  Workspace workspace;
  if (!get_workspace(shape, &workspace)) return -1;
  memset(workspace.transformed_filter, 0,
         kElements * filter_element_stride(shape) * sizeof(float));
  for (int64_t first = 0; first < all; first += bands.bands_at_once) {
    const int64_t count = min(bands.bands_at_once, all - first);
    const int64_t tiles = count * bands.tiles_per_band;
    transform_input(shape, &bands, &workspace, images, first, count);
    for (int64_t b = first; b < first + count; ++b)
      for (int64_t block = 0; block < blocks; ++block)
        transforms()->transform_output_transpose(&(TileRow){
            .pixels = (float *)gradient + b * kOutputTile * shape->width * out +
                      block * kChannelBlock,
            .row_stride = shape->width * out,
            .column_stride = out,
            .transformed =
                workspace.transformed_output +
                (block * tiles + (b - first) * bands.tiles_per_band) *
                    kChannelBlock,
            .tile_stride = kChannelBlock,
            .element_stride =
                tile_element_stride(tiles, blocks * kChannelBlock),
            .num_tiles = bands.tiles_per_band,
            .num_groups =
                min(kChannelBlock, out - block * kChannelBlock) / kChannelGroup,
        });
    for (int64_t element = 0; element < kElements; ++element)
      for (int64_t block = 0; block < blocks; ++block)
        microkernels()->add_outer_products(&(OuterProducts){
            .x = workspace.transformed_input +
                 element * tile_element_stride(tiles, in),
            .x_column_stride = in,
            .y = workspace.transformed_output +
                 element * tile_element_stride(tiles, blocks * kChannelBlock) +
                 block * tiles * kChannelBlock,
            .height = 1,
            .width = tiles,
            .rows = in,
            .matrix = workspace.transformed_filter +
                      element * filter_element_stride(shape) +
                      block * in * kChannelBlock,
            .channels = min(kChannelBlock, out - block * kChannelBlock),
        });
  }
  transform_kernel(shape, transforms()->transform_filter_transpose,
                   kernel_gradient, workspace.transformed_filter);
  sum_pixels(gradient, shape->n, shape->height * shape->width, out,
             bias_gradient);
  return 0;
}
