/* Files that the program writes.  Each appears whole or not at all, and none takes the place of a
 * file that the same command reads or writes. */
#ifndef NORMC_FRONTEND_OUTPUT_H
#define NORMC_FRONTEND_OUTPUT_H

#include <stdio.h>

#include "diag.h"

/* ---- the paths of a command ---- */

/* PATH_FOLDER: a folder that is made when it is needed, with those above it. */
enum path_use { PATH_READ, PATH_WRITTEN, PATH_FOLDER };

struct named_path {
	const char *what; /* for messages: "the model"; of an option, its name */
	const char *path;
	enum path_use use;
	bool is_option;
};

/* "--" for an option, "" otherwise: what stands before `what` in a message. */
const char *path_dashes(const struct named_path *path);
/* Whether every path can be written that is to be, and none is the file of another one; else false
 * after a report that names both.  Reads the file system, changes nothing. */
bool paths_check(struct diag *diag, const struct named_path *list, size_t n);
/* The first of `list` that is a file and that writing to `path` would replace; NULL if none is. */
const struct named_path *paths_find(const struct named_path *list, size_t n, const char *path);

/* ---- folders ---- */

/* A new, empty folder in the folder of `beside`, or for temporary files if that is NULL; its path
 * into `folder`. */
bool folder_make(struct diag *diag, const char *beside, char *folder, size_t size);
/* Removes a folder and the files in it. */
void folder_remove(const char *folder);
/* Makes the folder `path` and those above it, where they are missing. */
bool folder_need(struct diag *diag, const char *path);

/* ---- files ---- */

/* Puts the finished file `from` at `to`, on the same file system, when its bytes are on the disk.
 * What is there but is no regular file (a device, a link) stays and is written to. */
bool file_put_in_place(struct diag *diag, const char *from, const char *to);

/* A file on its way to `path`, which must live as long.  output_begin: false after a report; then
 * write to `file`, and output_end or output_abandon whatever happened. */
struct output {
	FILE *file;
	const char *path;
	char partial[4200]; /* where the bytes are until the end; "": at `path`, no regular file */
};
bool output_begin(struct output *out, struct diag *diag, const char *path);
/* Finishes the file if `ok`, else removes it and reports errno. */
bool output_end(struct output *out, struct diag *diag, bool ok);
/* Removes it without a word. */
void output_abandon(struct output *out);

#endif
