import { dts } from 'rollup-plugin-dts'

/** The types of the library, rolled up: the same for those who import it and for those who require it. */
export default ['ts', 'cts'].map((extension) => ({
  input: { receiver: 'src/receiver/receiver.ts', store: 'src/installations/store.ts' },
  external: /^node:/,
  output: {
    dir: 'dist',
    entryFileNames: `[name].d.${extension}`,
    // An integration of one is an integration of the other.
    chunkFileNames: `types.d.${extension}`,
  },
  plugins: [dts()],
}))
