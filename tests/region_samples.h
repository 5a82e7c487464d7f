/* Graphs with If and Loop in the text form, and the runs in which they are tried: several trip
 * counts, conditions and extents.
 */
#ifndef NORMC_TEST_REGION_SAMPLES_H
#define NORMC_TEST_REGION_SAMPLES_H

#include "sample.h"

/* Results that nobody reads, operands behind views, and results that are inputs. */
static const struct sample choice = {
		"graph \"g\"\n"
		"%0 = input \"c\" : bool[]\n"
		"%1 = input \"x\" : f32[N,4]\n"
		"%2 = transpose %1 {perm [1,0]} : f32[4,N]\n"
		"%3 = slice %1 {start [0,1] extent [N,2] step [1,2]} : f32[N,2]\n"
		"%4 = if %0 %2 %3 {carried 0 trips []} {\n"
		"  graph \"then\"\n"
		"  %0 = input \"a\" : f32[4,N]\n"
		"  %1 = input \"b\" : f32[N,2]\n"
		"  %2 = neg %0 : f32[4,N]\n"
		"  %3 = reduce_sum %1 {axes [0]} : f32[1,2]\n"
		"  return %2 \"p\", %3 \"q\", %1 \"r\"\n"
		"} {\n"
		"  graph \"else\"\n"
		"  %0 = input \"a\" : f32[4,N]\n"
		"  %1 = input \"b\" : f32[N,2]\n"
		"  %2 = constant : f32[1,2] = [3, 4]\n"
		"  %3 = add %1 %1 : f32[N,2]\n"
		"  return %0 \"p\", %2 \"q\", %3 \"r\"\n"
		"} : (f32[4,N], f32[1,2], f32[N,2])\n"
		"%5 = part %4 {index 0} : f32[4,N]\n"
		"%6 = part %4 {index 2} : f32[N,2]\n"
		"%7 = transpose %5 {perm [1,0]} : f32[N,4]\n"
		"%8 = add %7 %1 : f32[N,4]\n"
		"return %8 \"y\", %6 \"z\", %6 \"again\"\n",
		RUNS({{5}, 0, true}, {{5}, 0, false}, {{0}, 0, true}, {{1}, 0, false})};

/* The condition comes from data; the only result is the graph's; a region in a region; constants,
 * packed and plain, in all of them. */
static const struct sample nested_choice = {
		"graph \"g\"\n"
		"%0 = input \"x\" : f32[3,2]\n"
		"%1 = constant : f32[] = [0.5]\n"
		"%2 = reduce_max %0 {axes [0,1]} : f32[1,1]\n"
		"%3 = reshape %2 {to []} : f32[]\n"
		"%4 = lt %1 %3 : bool[]\n"
		"%5 = input \"c\" : bool[]\n"
		"%6 = if %4 %0 %5 {carried 0 trips []} {\n"
		"  graph \"then\"\n"
		"  %0 = input \"x\" : f32[3,2]\n"
		"  %1 = input \"c\" : bool[]\n"
		"  %2 = if %1 %0 {carried 0 trips []} {\n"
		"    graph \"inner then\"\n"
		"    %0 = input \"x\" : f32[3,2]\n"
		"    %1 = constant : f32[2,2] = [1, 2, 3, 4]\n"
		"    %2 = matmul %0 %1 : f32[3,2]\n"
		"    return %2 \"y\"\n"
		"  } {\n"
		"    graph \"inner else\"\n"
		"    %0 = input \"x\" : f32[3,2]\n"
		"    %1 = constant : f32[3,2] = [1, 2, 3, 4, 5, 6]\n"
		"    %2 = add %0 %1 : f32[3,2]\n"
		"    return %2 \"y\"\n"
		"  } : f32[3,2]\n"
		"  return %2 \"y\"\n"
		"} {\n"
		"  graph \"else\"\n"
		"  %0 = input \"x\" : f32[3,2]\n"
		"  %1 = input \"c\" : bool[]\n"
		"  return %0 \"y\"\n"
		"} : f32[3,2]\n"
		"%7 = constant : f32[2,4] = [1, 2, 3, 4, 5, 6, 7, 8]\n"
		"%8 = matmul %6 %7 : f32[3,4]\n"
		"return %6 \"y\", %8 \"z\"\n",
		RUNS({{0}, 0, true}, {{0}, 0, false})};

/* Carried values that change places, for any number of iterations. */
static const struct sample carried = {
		"graph \"g\"\n"
		"%0 = input \"n\" : i64[]\n"
		"%1 = input \"c\" : bool[]\n"
		"%2 = input \"x\" : f32[N,3]\n"
		"%3 = input \"y\" : f32[N,3]\n"
		"%4 = loop %0 %1 %2 %3 %2 {carried 2 trips []} {\n"
		"  graph \"body\"\n"
		"  %0 = input \"i\" : i64[]\n"
		"  %1 = input \"c\" : bool[]\n"
		"  %2 = input \"a\" : f32[N,3]\n"
		"  %3 = input \"b\" : f32[N,3]\n"
		"  %4 = input \"x\" : f32[N,3]\n"
		"  %5 = cast %0 {to f32 wrap false} : f32[]\n"
		"  %6 = reshape %5 {to [1,1]} : f32[1,1]\n"
		"  %7 = broadcast %6 {to [N,3]} : f32[N,3]\n"
		"  %8 = add %2 %7 : f32[N,3]\n"
		"  %9 = sub %8 %4 : f32[N,3]\n"
		"  return %1 \"c\", %3 \"a\", %9 \"b\"\n"
		"} : (f32[N,3], f32[N,3])\n"
		"%5 = part %4 {index 0} : f32[N,3]\n"
		"%6 = part %4 {index 1} : f32[N,3]\n"
		"%7 = neg %6 : f32[N,3]\n"
		"return %5 \"p\", %7 \"q\"\n",
		RUNS({{4}, 0, true}, {{4}, 1, true}, {{4}, 2, true}, {{4}, 7, true},
		     {{0}, 3, true}, {{4}, 5, false}, {{4}, -3, true})};

/* Ends when a value that it computes says so; the trip count is no limit. */
static const struct sample early = {
		"graph \"g\"\n"
		"%0 = constant : i64[] = [9223372036854775807]\n"
		"%1 = input \"c\" : bool[]\n"
		"%2 = input \"n\" : i64[]\n"
		"%3 = constant : i64[] = [1]\n"
		"%4 = loop %0 %1 %3 %2 {carried 1 trips []} {\n"
		"  graph \"body\"\n"
		"  %0 = input \"i\" : i64[]\n"
		"  %1 = input \"c\" : bool[]\n"
		"  %2 = input \"a\" : i64[]\n"
		"  %3 = input \"n\" : i64[]\n"
		"  %4 = add %2 %2 : i64[]\n"
		"  %5 = lt %4 %3 : bool[]\n"
		"  return %5 \"c\", %4 \"a\"\n"
		"} : i64[]\n"
		"return %4 \"y\"\n",
		RUNS({{0}, 1000, true}, {{0}, 0, true}, {{0}, 1000, false}, {{0}, 65, true})};

/* Stacked results; iterations in number of an extent. */
static const struct sample stacked = {
		"graph \"g\"\n"
		"%0 = input \"x\" : f32[N,M]\n"
		"%1 = dims {rank 0 value [N]} : i64[]\n"
		"%2 = constant : bool[] = [1]\n"
		"%3 = constant : f32[1] = [0]\n"
		"%4 = broadcast %3 {to [M]} : f32[M]\n"
		"%5 = loop %1 %2 %4 %0 {carried 1 trips [N]} {\n"
		"  graph \"body\"\n"
		"  %0 = input \"i\" : i64[]\n"
		"  %1 = input \"c\" : bool[]\n"
		"  %2 = input \"a\" : f32[M]\n"
		"  %3 = input \"x\" : f32[N,M]\n"
		"  %4 = gather %3 %0 {axis 0} : f32[M]\n"
		"  %5 = add %2 %4 : f32[M]\n"
		"  %6 = reduce_sum %4 {axes [0]} : f32[1]\n"
		"  return %1 \"c\", %5 \"a\", %5 \"s\", %6 \"t\", %0 \"i\"\n"
		"} : (f32[M], f32[N,M], f32[N,1], i64[N])\n"
		"%6 = part %5 {index 0} : f32[M]\n"
		"%7 = part %5 {index 1} : f32[N,M]\n"
		"%8 = part %5 {index 2} : f32[N,1]\n"
		"%9 = part %5 {index 3} : i64[N]\n"
		"return %6 \"p\", %7 \"q\", %8 \"r\", %9 \"s\"\n",
		RUNS({{4, 33}, 0, true}, {{1, 5}, 0, true}, {{0, 5}, 0, true}, {{3, 0}, 0, true},
		     {{2, 6000}, 0, true})};

/* A loop in a loop: as many iterations as the outer one has had; a choice in the inner one, and a
 * call that wants scratch memory. */
static const struct sample nested = {
		"graph \"g\"\n"
		"%0 = input \"n\" : i64[]\n"
		"%1 = constant : bool[] = [1]\n"
		"%2 = input \"x\" : f32[N,6]\n"
		"%3 = loop %0 %1 %2 {carried 1 trips []} {\n"
		"  graph \"outer\"\n"
		"  %0 = input \"i\" : i64[]\n"
		"  %1 = input \"c\" : bool[]\n"
		"  %2 = input \"a\" : f32[N,6]\n"
		"  %3 = loop %0 %1 %2 %2 {carried 1 trips []} {\n"
		"    graph \"inner\"\n"
		"    %0 = input \"i\" : i64[]\n"
		"    %1 = input \"c\" : bool[]\n"
		"    %2 = input \"a\" : f32[N,6]\n"
		"    %3 = input \"b\" : f32[N,6]\n"
		"    %4 = constant : i64[] = [2]\n"
		"    %5 = eq %0 %4 : bool[]\n"
		"    %6 = if %5 %2 %3 {carried 0 trips []} {\n"
		"      graph \"then\"\n"
		"      %0 = input \"a\" : f32[N,6]\n"
		"      %1 = input \"b\" : f32[N,6]\n"
		"      %2 = call %0 {name \"topk\" ints [1,1] floats []} : "
		"(f32[N,6], i64[N,6])\n"
		"      %3 = part %2 {index 0} : f32[N,6]\n"
		"      %4 = sub %3 %1 : f32[N,6]\n"
		"      return %4 \"y\"\n"
		"    } {\n"
		"      graph \"else\"\n"
		"      %0 = input \"a\" : f32[N,6]\n"
		"      %1 = input \"b\" : f32[N,6]\n"
		"      %2 = constant : f32[6,6] = [1,0,0,0,0,1,0,1,0,0,1,0,0,0,1,1,0,"
		"0,0,0,1,-1,0,0,0,1,0,0,-1,0,1,0,0,0,0,-1]\n"
		"      %3 = matmul %0 %2 : f32[N,6]\n"
		"      return %3 \"y\"\n"
		"    } : f32[N,6]\n"
		"    return %1 \"c\", %6 \"a\"\n"
		"  } : f32[N,6]\n"
		"  return %1 \"c\", %3 \"a\"\n"
		"} : f32[N,6]\n"
		"return %3 \"y\"\n",
		RUNS({{2}, 5, true}, {{1}, 1, true}, {{3}, 0, true}, {{0}, 4, true},
		     {{300}, 4, true})};

#endif
