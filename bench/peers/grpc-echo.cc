// The gRPC peer: an asynchronous C++ server that echoes each unary request, one completion queue
// and one thread. Generic, so that it parses no message: the least work that libgrpc++ can do.
//   grpc-echo ADDRESS     prints "ready" when it listens
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>
#include <string>

namespace {

class Call {
public:
	Call(grpc::AsyncGenericService *service, grpc::ServerCompletionQueue *queue)
	    : service_(service), queue_(queue), stream_(&context_)
	{
		service_->RequestCall(&context_, &stream_, queue_, queue_, this);
	}

	void Proceed(bool ok)
	{
		switch (state_) {
		case State::kArriving:
			if (!ok) {
				delete this;
				return;
			}
			new Call(service_, queue_);
			state_ = State::kReading;
			stream_.Read(&message_, this);
			break;
		case State::kReading:
			state_ = State::kEnding;
			if (ok)
				stream_.WriteAndFinish(message_, grpc::WriteOptions(), grpc::Status::OK, this);
			else
				stream_.Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no message"),
					       this);
			break;
		case State::kEnding:
			delete this;
		}
	}

private:
	enum class State { kArriving, kReading, kEnding };
	grpc::AsyncGenericService *service_;
	grpc::ServerCompletionQueue *queue_;
	grpc::GenericServerContext context_;
	grpc::GenericServerAsyncReaderWriter stream_;
	grpc::ByteBuffer message_;
	State state_ = State::kArriving;
};

} // namespace

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	grpc::AsyncGenericService service;
	grpc::ServerBuilder builder;
	int port = 0;
	builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials(), &port);
	builder.RegisterAsyncGenericService(&service);
	std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
	std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
	if (!server || port == 0)
		return 1;
	printf("ready %d\n", port);
	fflush(stdout);
	for (int i = 0; i < 64; i++) // calls that may arrive at once
		new Call(&service, queue.get());
	void *tag;
	bool ok;
	while (queue->Next(&tag, &ok))
		static_cast<Call *>(tag)->Proceed(ok);
	return 0;
}
