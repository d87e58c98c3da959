/**
 * An object with parts that are made when they are first asked for: a command needs few of them, and their SQL takes
 * longer to put together than to run.
 *
 * @param whole what it has besides, among which the parts stand in place of those of the same name; its own parts are
 *   still made on demand
 */
export function withParts<Whole extends object, Parts extends object>(
  whole: Whole,
  parts: { readonly [Name in keyof Parts]: () => Parts[Name] },
): Omit<Whole, keyof Parts> & Parts {
  const made = Object.defineProperties({}, Object.getOwnPropertyDescriptors(whole))
  for (const [name, make] of Object.entries<() => unknown>(parts))
    Object.defineProperty(made, name, {
      enumerable: true,
      configurable: true,
      get() {
        const value = make()
        Object.defineProperty(made, name, { value })
        return value
      },
    })
  return made as Omit<Whole, keyof Parts> & Parts
}
