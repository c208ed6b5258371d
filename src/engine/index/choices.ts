/** The names of the implementations of the index, apart from these, so that the program's help need not load them. */

/** auto: the native one where it was built, else the portable one. */
export const indexChoices = ["auto", "native", "portable"] as const;
export type IndexChoice = (typeof indexChoices)[number];
