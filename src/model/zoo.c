#include "model/zoo.h"

#include "model/onnx.h"
#include "model/zoo/zoo_internal.h"

#include <string.h>

static const struct ps_zoo_entry entries[] = {
	{"alexnet", "cnn", "AlexNet, single tower (Krizhevsky 2014)", ps_zoo_alexnet, 224},
	{"vgg16", "cnn", "VGG, configuration D (Simonyan, Zisserman 2014)", ps_zoo_vgg16, 224},
	{"googlenet", "cnn", "GoogLeNet with batch normalisation (Szegedy 2014)", ps_zoo_googlenet,
	 224},
	{"inception_v3", "cnn", "Inception v3 (Szegedy 2015)", ps_zoo_inception_v3, 299},
	{"resnet18", "cnn", "ResNet-18 (He 2015)", ps_zoo_resnet18, 224},
	{"resnet50", "cnn", "ResNet-50 v1.5 (He 2015)", ps_zoo_resnet50, 224},
	{"resnet152", "cnn", "ResNet-152 v1.5 (He 2015)", ps_zoo_resnet152, 224},
	{"densenet121", "cnn", "DenseNet-121 (Huang 2016)", ps_zoo_densenet121, 224},
	{"squeezenet1_1", "cnn", "SqueezeNet 1.1 (Iandola 2016)", ps_zoo_squeezenet1_1, 224},
	{"mobilenet_v1", "cnn", "MobileNet v1, width 1.0 (Howard 2017)", ps_zoo_mobilenet_v1, 224},
	{"mobilenet_v2", "cnn", "MobileNet v2, width 1.0 (Sandler 2018)", ps_zoo_mobilenet_v2, 224},
	{"efficientnet_b0", "cnn", "EfficientNet-B0 (Tan, Le 2019)", ps_zoo_efficientnet_b0, 224},
	{"lstm_256", "lstm", "LSTM layer, 256 units (DeepBench inference)", ps_zoo_lstm, 256},
	{"lstm_512", "lstm", "LSTM layer, 512 units (DeepBench inference)", ps_zoo_lstm, 512},
	{"lstm_1024", "lstm", "LSTM layer, 1024 units (DeepBench inference)", ps_zoo_lstm, 1024},
	{"lstm_1536", "lstm", "LSTM layer, 1536 units (DeepBench inference)", ps_zoo_lstm, 1536},
	{"lstm_2048", "lstm", "LSTM layer, 2048 units (DeepBench inference)", ps_zoo_lstm, 2048},
	{"gru_512", "gru", "GRU layer, 512 units (DeepBench inference)", ps_zoo_gru, 512},
	{"gru_1024", "gru", "GRU layer, 1024 units (DeepBench inference)", ps_zoo_gru, 1024},
	{"gru_1536", "gru", "GRU layer, 1536 units (DeepBench inference)", ps_zoo_gru, 1536},
	{"gru_2048", "gru", "GRU layer, 2048 units (DeepBench inference)", ps_zoo_gru, 2048},
	{"gru_2560", "gru", "GRU layer, 2560 units (DeepBench inference)", ps_zoo_gru, 2560},
	{"gru_2816", "gru", "GRU layer, 2816 units (DeepBench inference)", ps_zoo_gru, 2816},
};
enum { N_ENTRIES = sizeof entries / sizeof entries[0] };

const struct ps_zoo_entry *ps_zoo_entries(int *ret_n)
{
	*ret_n = N_ENTRIES;
	return entries;
}

const struct ps_zoo_entry *ps_zoo_find(const char *name)
{
	for (int i = 0; i < N_ENTRIES; i++)
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	return NULL;
}

enum ps_status ps_zoo_build(const struct ps_zoo_entry *e, uint64_t seed,
			    struct ps_graph **ret_graph, struct ps_error *err)
{
	struct ps_graph *g = ps_graph_new(e->name, seed);
	if (!g)
		return ps_error_set(err, PS_ENOMEM, "no memory for %s", e->name);
	e->build(g, e->size);
	enum ps_status s = ps_graph_status(g, err);
	if (s != PS_OK) {
		ps_graph_free(g);
		return s == PS_ENOMEM ? s : PS_EINTERNAL;
	}
	*ret_graph = g;
	return PS_OK;
}

enum ps_status ps_zoo_write(const struct ps_zoo_entry *e, uint64_t seed, const char *path,
			    struct ps_error *err)
{
	struct ps_graph *g = NULL;
	enum ps_status s = ps_zoo_build(e, seed, &g, err);
	if (s != PS_OK)
		return s;
	s = ps_onnx_write(g, path, err);
	ps_graph_free(g);
	return s;
}
