/* rnn-onednn.cc - oneDNN on one recurrent layer, for bench/rnn.py; lines in and out as rnn-ours.c.
 *
 *   rnn-onednn CELL HIDDEN INPUTS STEPS BATCH PRECISION THREADS WEIGHTS
 *
 * The library is Debian's (libdnnl-dev); nothing of it is in perseus. Weights are reordered once
 * into the layout that the primitive asks for. Ends with code 3 when the library has no such
 * primitive for this processor.
 */
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <unordered_map>
#include <vector>

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>

using namespace dnnl;
using tag = memory::format_tag;
using type = memory::data_type;

static void fail(const char *why)
{
	fprintf(stderr, "rnn-onednn: %s\n", why);
	exit(1);
}

static std::vector<float> read_floats(FILE *f, size_t n)
{
	std::vector<float> v(n);
	if (fread(v.data(), sizeof(float), n, f) != n)
		fail("the file of weights is too short");
	return v;
}

/* ONNX has its gates in another order: LSTM i o f c, GRU z r h; oneDNN i f c o, and u r o. */
static const int lstm_order[] = {0, 2, 3, 1}, gru_order[] = {0, 1, 2};

/* [G*H][K] of ONNX as [K][G][H] */
static std::vector<float> turned(const std::vector<float> &from, int gates, const int *order,
				 size_t hidden, size_t k)
{
	std::vector<float> to(from.size());
	for (int g = 0; g < gates; g++)
		for (size_t u = 0; u < hidden; u++)
			for (size_t i = 0; i < k; i++)
				to[(i * gates + g) * hidden + u] =
					from[(order[g] * hidden + u) * k + i];
	return to;
}

/* One bias per gate; a GRU that is linear before reset has a fourth, of h, for its candidate. */
static std::vector<float> bias_of(const std::vector<float> &b, bool lstm, const int *order,
				  size_t hidden)
{
	int gates = lstm ? 4 : 3;
	size_t rows = gates * hidden;
	std::vector<float> to(4 * hidden);
	for (int g = 0; g < gates; g++)
		for (size_t u = 0; u < hidden; u++) {
			size_t at = order[g] * hidden + u;
			bool apart = !lstm && g == 2;
			to[g * hidden + u] = b[at] + (apart ? 0 : b[rows + at]);
			if (apart)
				to[3 * hidden + u] = b[rows + at];
		}
	return to;
}

struct layer {
	engine eng{engine::kind::cpu, 0};
	stream strm{eng};
	memory x, wl, wi, b, y;
	primitive prim;
	std::unordered_map<int, memory> args;
	memory::dims x_dims, y_dims;
};

static memory of_floats(layer &l, const memory::desc &d, const std::vector<float> &v)
{
	memory m(d, l.eng);
	memcpy(m.get_data_handle(), v.data(), v.size() * sizeof(float));
	return m;
}

static memory moved(layer &l, memory &from, const memory::desc &to, const primitive_attr &attr)
{
	memory m(to, l.eng);
	reorder(reorder::primitive_desc(l.eng, from.get_desc(), l.eng, to, attr))
		.execute(l.strm, from, m);
	l.strm.wait();
	return m;
}

/* int8: h and x within about 1 as bytes around 128, weights with a scale per gate and unit. */
static primitive_attr attributes(bool int8, const std::vector<float> &wl,
				 const std::vector<float> &wi, size_t columns)
{
	primitive_attr attr;
	if (!int8)
		return attr;
	std::vector<float> scales(columns, 0);
	for (const auto *w : {&wl, &wi})
		for (size_t i = 0; i < w->size(); i++)
			scales[i % columns] = std::fmax(scales[i % columns], std::fabs((*w)[i]));
	for (float &s : scales)
		s = 127 / std::fmax(s, 1e-9f);
	attr.set_rnn_data_qparams(63, 128); /* |x| is up to 2 */
	attr.set_rnn_weights_qparams(1 << 3 | 1 << 4, scales);
	return attr;
}

static void make(layer &l, bool lstm, const std::string &precision, memory::dim hidden,
		 memory::dim inputs, memory::dim steps, memory::dim batch, const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		fail("cannot read the file of weights");
	int gates = lstm ? 4 : 3;
	const int *order = lstm ? lstm_order : gru_order;
	size_t rows = (size_t)(gates * hidden);
	auto wl = turned(read_floats(f, rows * inputs), gates, order, hidden, inputs);
	auto wi = turned(read_floats(f, rows * hidden), gates, order, hidden, hidden);
	auto b = bias_of(read_floats(f, 2 * rows), lstm, order, hidden);
	auto x = read_floats(f, (size_t)(steps * batch * inputs));
	fclose(f);

	bool int8 = precision == "int8", bf16 = precision == "bfloat16";
	type data = int8 ? type::u8 : bf16 ? type::bf16 : type::f32;
	type weight = int8 ? type::s8 : data;
	primitive_attr attr = attributes(int8, wl, wi, rows);
	l.x_dims = {steps, batch, inputs};
	l.y_dims = {steps, batch, hidden};
	memory::dims wl_dims = {1, 1, inputs, gates, hidden}, wi_dims = {1, 1, hidden, gates, hidden};
	memory::dims b_dims = {1, 1, 4, hidden};
	memory::desc x_d(l.x_dims, data, tag::tnc), y_d(l.y_dims, int8 ? type::f32 : data, tag::tnc);
	memory::desc wl_d(wl_dims, weight, tag::any), wi_d(wi_dims, weight, tag::any);
	memory::desc b_d(b_dims, type::f32, tag::ldgo), none;
	memory::desc wl_real, wi_real;
	auto forward = prop_kind::forward_inference;
	auto way = rnn_direction::unidirectional_left2right;
	if (lstm) {
		lstm_forward::desc d(forward, way, x_d, none, none, wl_d, wi_d, b_d, y_d, none, none);
		lstm_forward::primitive_desc pd(d, attr, l.eng);
		l.prim = lstm_forward(pd);
		wl_real = pd.weights_layer_desc(), wi_real = pd.weights_iter_desc();
	} else {
		lbr_gru_forward::desc d(forward, way, x_d, none, wl_d, wi_d, b_d, y_d, none);
		lbr_gru_forward::primitive_desc pd(d, attr, l.eng);
		l.prim = lbr_gru_forward(pd);
		wl_real = pd.weights_layer_desc(), wi_real = pd.weights_iter_desc();
	}
	memory wl_f = of_floats(l, {wl_dims, type::f32, tag::ldigo}, wl);
	memory wi_f = of_floats(l, {wi_dims, type::f32, tag::ldigo}, wi);
	memory x_f = of_floats(l, {l.x_dims, type::f32, tag::tnc}, x);
	l.wl = moved(l, wl_f, wl_real, attr);
	l.wi = moved(l, wi_f, wi_real, attr);
	l.x = moved(l, x_f, x_d, int8 ? attr : primitive_attr());
	l.b = of_floats(l, b_d, b);
	l.y = memory(y_d, l.eng);
	l.args = {{DNNL_ARG_SRC_LAYER, l.x},   {DNNL_ARG_WEIGHTS_LAYER, l.wl},
		  {DNNL_ARG_WEIGHTS_ITER, l.wi}, {DNNL_ARG_BIAS, l.b},
		  {DNNL_ARG_DST_LAYER, l.y}};
}

static void obey(layer &l)
{
	std::string what, argument;
	while (std::cin >> what >> argument) {
		if (what == "run") {
			for (long n = atol(argument.c_str()); n > 0; n--) {
				auto begin = std::chrono::steady_clock::now();
				l.prim.execute(l.strm, l.args);
				l.strm.wait();
				std::chrono::duration<double, std::micro> took =
					std::chrono::steady_clock::now() - begin;
				printf("%.3f ", took.count());
			}
			printf("\n");
		} else {
			memory y = moved(l, l.y, {l.y_dims, type::f32, tag::tnc}, primitive_attr());
			FILE *f = fopen(argument.c_str(), "wb");
			size_t n = (size_t)(l.y_dims[0] * l.y_dims[1] * l.y_dims[2]);
			if (!f || fwrite(y.get_data_handle(), sizeof(float), n, f) != n || fclose(f))
				fail("cannot write the output");
			printf("written\n");
		}
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	if (argc != 9)
		fail("usage: rnn-onednn CELL HIDDEN INPUTS STEPS BATCH PRECISION THREADS WEIGHTS");
	layer l;
	omp_set_num_threads(atoi(argv[7]));
	try {
		make(l, strcmp(argv[1], "lstm") == 0, argv[6], atol(argv[2]), atol(argv[3]),
		     atol(argv[4]), atol(argv[5]), argv[8]);
	} catch (const error &e) {
		fprintf(stderr, "rnn-onednn: %s\n", e.what());
		return e.status == dnnl_unimplemented ? 3 : 1;
	}
	printf("ready 0 0 onednn %s\n", argv[7]);
	fflush(stdout);
	obey(l);
	return 0;
}
