/** Asks an address as often as `check` asks for so many integrations, eight at a time. */
const [url = '', times = '0'] = process.argv.slice(2)
let left = Number(times)

async function work(): Promise<void> {
  while (left-- > 0) {
    const response = await fetch(url, { headers: { authorization: `Bearer ${left}` }, redirect: 'manual' })
    const { data } = JSON.parse(await response.text())
    if (data.id === undefined) throw new Error('it is another answer')
  }
}

Promise.all(Array.from({ length: 8 }, work)).catch((error) => {
  process.stderr.write(String(error))
  process.exitCode = 1
})
