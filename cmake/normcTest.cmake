# normc_add_equivalence_test(NAME MODEL.onnx [OTHER.onnx] [OPTIONS option...])
#
# Adds a test NAME, which runs `normc verify`: the compiled model computes what MODEL means, and each rewrite
# is right; with OTHER, both models compute the same.  The report is ${CMAKE_CURRENT_BINARY_DIR}/NAME.xml
# (JUnit, a case for each lane, output and rewrite).  OPTIONS are passed to `normc verify`.  Like
# add_test(), it wants enable_testing() in the topmost CMakeLists.txt.
function(normc_add_equivalence_test name model)
	cmake_parse_arguments(PARSE_ARGV 2 test "" "" "OPTIONS")
	list(LENGTH test_UNPARSED_ARGUMENTS others)
	if(others GREATER 1)
		message(FATAL_ERROR "normc_add_equivalence_test: at most two models: ${test_UNPARSED_ARGUMENTS}")
	endif()
	set(models)
	foreach(path IN LISTS model test_UNPARSED_ARGUMENTS)
		get_filename_component(file "${path}" ABSOLUTE)
		list(APPEND models "${file}")
	endforeach()
	add_test(NAME ${name} COMMAND normc::compiler verify ${models}
		--report "${CMAKE_CURRENT_BINARY_DIR}/${name}.xml" ${test_OPTIONS})
	set_tests_properties(${name} PROPERTIES LABELS normc)
endfunction()
