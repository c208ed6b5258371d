{
  "targets": [
    {
      "target_name": "vstore",
      "sources": [
        "native/node/addon.cc",
        "native/node/files.cc",
        "native/node/turns.cc",
        "native/node/native_graph.cc",
        "native/node/environment.cc",
        "native/search.cc",
        "native/pool.cc",
        "native/graph/rescoring.cc",
        "native/filter/filtered.cc",
        "native/graph/graph_file.cc",
        "native/graph/graph.cc",
        "native/graph/nodes.cc",
        "native/codes/codes.cc",
        "native/codes/rotation.cc",
        "native/codes/kernels.cc",
        "native/codes/kernels_x86.cc",
        "native/codes/kernels_neon.cc"
      ],
      "include_dirs": ["native", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-O3", "-Wall", "-Wextra", "-fvisibility=hidden"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20"],
      "conditions": [
        [
          "OS=='mac'",
          {
            "xcode_settings": {
              "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
              "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
              "GCC_OPTIMIZATION_LEVEL": "3",
              "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
              "MACOSX_DEPLOYMENT_TARGET": "11.0"
            }
          }
        ]
      ]
    }
  ]
}
