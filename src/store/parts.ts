/**
 * An object with parts that are made when they are first asked for: a command needs few of them, and their SQL takes
 * longer to put together than to run.
 *
 * @param whole what it has besides; of its parts, those of the same name are replaced, and the others made on demand still
 */
export function withParts<Whole extends object, Parts extends object>(
  whole: Whole,
  parts: { readonly [Name in keyof Parts]: () => Parts[Name] },
): Omit<Whole, keyof Parts> & Parts {
  const made = Object.defineProperties({}, Object.getOwnPropertyDescriptors(whole))
  for (const [name, make] of Object.entries<() => unknown>(parts)) {
    let part: unknown
    const get = () => {
      part ??= make()
      return part
    }
    Object.defineProperty(made, name, { get, enumerable: true, configurable: true })
  }
  return made as Omit<Whole, keyof Parts> & Parts
}
