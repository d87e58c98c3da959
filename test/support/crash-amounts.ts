/** How much is tried by one of the crash tests: so much by default, and so much with `npm run test:crash -- --long`. */
export const amount = (usual: number, long: number): number => (process.env.CRASH_LONG === '1' ? long : usual)

/** What the crash tests draw their random moments from. */
export const seed = Number(process.env.CRASH_SEED ?? 1)
