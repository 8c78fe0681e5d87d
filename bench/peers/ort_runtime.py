"""An MLServer runtime for ONNX files: the engine with its own defaults, as its users would write."""
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class OnnxModel(MLModel):
    async def load(self):
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri,
                                                    providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        feeds = {i.name: NumpyCodec.decode_input(i) for i in payload.inputs}
        found = self.session.run(None, feeds)
        outputs = [NumpyCodec.encode_output(o.name, v)
                   for o, v in zip(self.session.get_outputs(), found)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
