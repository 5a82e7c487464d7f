# What `cmake --install` puts where: the program, both libraries, headers, pkg-config files, CMake package.
include(CMakePackageConfigHelpers)

# libnormc.a is everything but the runtime, which generated code needs too and so stays a library of its own.
set_target_properties(normc_all PROPERTIES OUTPUT_NAME normc)
set_target_properties(normc PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS normc RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS normc_all normc_rt ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${CMAKE_SOURCE_DIR}/runtime/normc.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_SOURCE_DIR}/runtime/module.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/normc)

# Paths in the installed files are relative to their place, so that the tree can be moved.
set(pkgconfig_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH NORMC_PREFIX_FROM_PC /${pkgconfig_folder} /)
string(REGEX REPLACE "/$" "" NORMC_PREFIX_FROM_PC "${NORMC_PREFIX_FROM_PC}")
foreach(name normc normc_rt)
	configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in ${CMAKE_BINARY_DIR}/cmake/${name}.pc @ONLY)
	install(FILES ${CMAKE_BINARY_DIR}/cmake/${name}.pc DESTINATION ${pkgconfig_folder})
endforeach()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/normc)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/normcConfig.cmake.in
	${CMAKE_BINARY_DIR}/cmake/normcConfig.cmake INSTALL_DESTINATION ${package_folder}
	PATH_VARS CMAKE_INSTALL_BINDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cmake/normcConfigVersion.cmake
	COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmake/normcConfig.cmake ${CMAKE_BINARY_DIR}/cmake/normcConfigVersion.cmake
	${CMAKE_CURRENT_LIST_DIR}/normcModel.cmake ${CMAKE_CURRENT_LIST_DIR}/normcTest.cmake DESTINATION ${package_folder})
