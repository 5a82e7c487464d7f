# normc_add_model(TARGET MODEL.onnx [CPU cpu] [OPTIONS option...])
#
# Makes a static library TARGET of a model, compiled when TARGET is needed and again when the model changes.
# What links to it can include "TARGET.h"; the prefix of the generated names is TARGET.  CPU as in
# `normc compile --cpu` (default: the machine that builds); OPTIONS are passed to `normc compile`.
function(normc_add_model target model)
	cmake_parse_arguments(PARSE_ARGV 2 model "" "CPU" "OPTIONS")
	if(model_UNPARSED_ARGUMENTS)
		message(FATAL_ERROR "normc_add_model: unknown arguments: ${model_UNPARSED_ARGUMENTS}")
	endif()
	get_filename_component(file "${model}" ABSOLUTE)
	set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}.normc")
	set(options ${model_OPTIONS})
	if(model_CPU)
		list(APPEND options --cpu "${model_CPU}")
	endif()
	file(MAKE_DIRECTORY "${folder}")
	add_custom_command(OUTPUT "${folder}/${target}.a" "${folder}/${target}.h"
		COMMAND normc::compiler compile "${file}" -o "${folder}/${target}.a" ${options}
		DEPENDS "${file}" normc::compiler VERBATIM COMMENT "normc: compiling ${model}")
	add_custom_target(${target}_compile DEPENDS "${folder}/${target}.a" "${folder}/${target}.h")
	add_library(${target} STATIC IMPORTED GLOBAL)
	set_target_properties(${target} PROPERTIES
		IMPORTED_LOCATION "${folder}/${target}.a"
		INTERFACE_INCLUDE_DIRECTORIES "${folder}"
		INTERFACE_LINK_LIBRARIES "Threads::Threads;m")
	add_dependencies(${target} ${target}_compile)
endfunction()
