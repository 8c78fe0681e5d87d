/* zoo_internal.h - the architectures and the blocks that several of them share; for model/ only. */
#ifndef PS_MODEL_ZOO_INTERNAL_H
#define PS_MODEL_ZOO_INTERNAL_H

#include "model/graph.h"

enum { PS_ZOO_CLASSES = 1000 };

/* Standard deviation that a residual branch adds: small enough that the sum of fifty keeps its
 * scale. */
#define PS_ZOO_BRANCH_GAIN 0.4

/* One builder per architecture; `size` is the side of the image or the hidden units. */
void ps_zoo_alexnet(struct ps_graph *g, int size);
void ps_zoo_vgg16(struct ps_graph *g, int size);
void ps_zoo_googlenet(struct ps_graph *g, int size);
void ps_zoo_inception_v3(struct ps_graph *g, int size);
void ps_zoo_resnet18(struct ps_graph *g, int size);
void ps_zoo_resnet50(struct ps_graph *g, int size);
void ps_zoo_resnet152(struct ps_graph *g, int size);
void ps_zoo_densenet121(struct ps_graph *g, int size);
void ps_zoo_squeezenet1_1(struct ps_graph *g, int size);
void ps_zoo_mobilenet_v1(struct ps_graph *g, int size);
void ps_zoo_mobilenet_v2(struct ps_graph *g, int size);
void ps_zoo_efficientnet_b0(struct ps_graph *g, int size);
void ps_zoo_lstm(struct ps_graph *g, int size);
void ps_zoo_gru(struct ps_graph *g, int size);

/* ps_zoo_image declares the input of a CNN: "input" [batch, 3, size, size]. */
int ps_zoo_image(struct ps_graph *g, int size);
/* ps_zoo_conv_relu is a convolution with bias and a relu. */
int ps_zoo_conv_relu(struct ps_graph *g, int x, int out, int kernel, int stride, int pad);
/* ps_zoo_conv_bn is a convolution without bias and its batch normalisation (epsilon 1e-5). */
int ps_zoo_conv_bn(struct ps_graph *g, int x, const struct ps_graph_conv *c, double gain);
/* ps_zoo_max_pool is a max pool. */
int ps_zoo_max_pool(struct ps_graph *g, int x, int kernel, int stride, int pad, bool ceil);
/* ps_zoo_classify ends a CNN: global average, one fully connected layer, "output". */
void ps_zoo_classify(struct ps_graph *g, int x);

#endif
