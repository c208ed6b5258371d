/** What `--role` takes. */
export const roles = ["leader", "follower", "auto"] as const;
export type Role = (typeof roles)[number];
