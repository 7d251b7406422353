"""Which ONNX operators the parser of each TensorRT version has: plain data, checked by `check_operators`.

From onnx/onnx-tensorrt, whose `docs/operators.md` lists them, at commits 078f20b8 (8.2), d2a1cdfb (8.4.2), 6d0ab7be (8.5),
66b25365 (8.6), 877b5dcc (9.1), 0137504e (10.6), fa5aa9f6 (10.15) and 2f3fa349 (11.0), and from its `docs/Changelog.md` for
the versions between. What neither mentions is not in the table, and is left to the board.
"""

# The first version that lists an operator as supported. 8.2 is the oldest that a Jetson's profile has.
_SINCE = {
    # The lists of 8.2 and 8.4 deny Reciprocal, but the sources of their parser have it (`builtin_op_importers.cpp`, 009d6541).
    "8.2": """
        Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
        Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal
        Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool
        GlobalMaxPool Greater GreaterOrEqual HardSigmoid Identity If InstanceNormalization IsNaN LRN LSTM LeakyRelu Less
        LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean Min Mul Neg NonMaxSuppression Not Or
        PRelu Pad Pow QuantizeLinear RNN RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
        ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
        ReverseSequence Round Scan Scatter ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax
        Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze
        Upsample Where
    """,
    "8.4": "Shrink Xor",
    # The list of 8.5 had OneHot and HardSwish added five days after the release (pull request 882): it has them.
    "8.5": """
        GridSample HardSwish MeanVarianceNormalization Mod NonZero OneHot RandomNormal RandomNormalLike RoiAlign Trilu
    """,
    "8.6": "GroupNormalization IsInf LayerNormalization",
    "9.1": "CastLike",
    "9.2": "Hardmax",
    # First listed in 10.6, and not yet in 9.2; the lists between were not at hand, so 10.0 to 10.5 are not refused.
    "10.0": "Gelu Mish",
    "10.1": "DeformConv",
    "10.4": "BlackmanWindow HammingWindow HannWindow",
    "10.5": "STFT",
    "10.14": "Attention",
    "10.15": "RMSNormalization RotaryEmbedding TensorScatter",
    "11.0": "Swish",
}
SINCE = {operator: version for version, names in _SINCE.items() for operator in names.split()}

NEWEST = "11.0"  # of the lists
FUNCTIONS_SINCE = "9.0"  # functions that a model defines itself: `docs/Changelog.md`

# Operators that every list up to 11.0 denies.
_NEVER = """
    AffineGrid Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Compress ConcatFromSequence
    ConvInteger DFT Det DynamicQuantizeLinear ImageDecoder MatMulInteger MaxRoiPool MaxUnpool MelWeightMatrix Multinomial
    NegativeLogLikelihoodLoss Optional OptionalGetElement OptionalHasElement QLinearConv QLinearMatMul RegexFullMatch
    SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap
    SoftmaxCrossEntropyLoss SplitToSequence StringConcat StringNormalizer StringSplit TfIdfVectorizer Unique
"""
NEVER = frozenset(_NEVER.split())

# TensorRT's own plug-ins, which its parser takes as nodes of these names, whatever their domain: the list in
# `plugin/README.md` of NVIDIA/TensorRT, commit 147005ff, without those named like an operator of ONNX.
_PLUGINS = """
    BatchTilePlugin_TRT BatchedNMSDynamic_TRT BatchedNMS_TRT Clip_TRT CoordConvAC CropAndResize CropAndResizeDynamic
    CustomEmbLayerNormPluginDynamic CustomFCPluginDynamic CustomGeluPluginDynamic CustomQKVToContextPluginDynamic
    CustomSkipLayerNormPluginDynamic DecodeBbox3DPlugin DetectionLayer_TRT DisentangledAttention_TRT EfficientNMS_ONNX_TRT
    EfficientNMS_TRT FlattenConcat_TRT GenerateDetection_TRT GridAnchorRect_TRT GridAnchor_TRT GroupNormalizationPlugin
    InstanceNormalization_TRT LReLU_TRT ModulatedDeformConv2d MultilevelCropAndResize_TRT MultilevelProposeROI_TRT
    MultiscaleDeformableAttnPlugin_TRT NMSDynamic_TRT NMS_TRT Normalize_TRT PillarScatterPlugin PriorBox_TRT Proposal
    ProposalDynamic ProposalLayer_TRT PyramidROIAlign_TRT ROIAlign_TRT RPROI_TRT Region_TRT Reorg_TRT ResizeNearest_TRT
    SpecialSlice_TRT VoxelGeneratorPlugin
"""
PLUGINS = frozenset(_PLUGINS.split())
