// Times npm's @divviup/prio3 (draft 08): node prio3_peer.mjs FOLDER TURNS, where FOLDER holds its node_modules.
// Last line: {"sumvec": {"shard_ms": …, "verify_ms": …}, "hist1000": …}: medians of the process's CPU time; verify is
// leader and helper together.
import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";
import { pathToFileURL } from "node:url";

const [folder, turns] = [process.argv[2], Number(process.argv[3])];
const require = createRequire(pathToFileURL(`${folder}/`));
const { Prio3Histogram, Prio3SumVec } = await import(
  pathToFileURL(require.resolve("@divviup/prio3"))
);

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];

async function timed(vdaf, measurement) {
  const shard = [];
  const verify = [];
  const key = randomBytes(vdaf.verifyKeySize);
  for (let turn = 0; turn <= turns; turn++) {
    const nonce = randomBytes(vdaf.nonceSize);
    const rand = randomBytes(vdaf.randSize);
    const start = cpu();
    const { publicShare, inputShares } = await vdaf.shard(measurement, nonce, rand);
    const between = cpu();
    const begun = [];
    for (const [id, share] of inputShares.entries()) {
      begun.push(await vdaf.prepareInit(key, id, null, nonce, publicShare, share));
    }
    const message = await vdaf.unshardPreparationShares(
      null,
      begun.map((each) => each.preparationShare),
    );
    for (const each of begun) {
      vdaf.prepareNext(each.preparationState, message);
    }
    if (turn) {
      shard.push(between - start);
      verify.push(cpu() - between);
    }
  }
  return { shard_ms: median(shard), verify_ms: median(verify) };
}

const vector = Array.from({ length: 1000 }, (_, i) => (i * 40503) % 65536);
const sumvec = new Prio3SumVec({ shares: 2, length: 1000, bits: 16, chunkLength: 126 });
const histogram = new Prio3Histogram({ shares: 2, length: 1000, chunkLength: 33 });
console.log(
  JSON.stringify({ sumvec: await timed(sumvec, vector), hist1000: await timed(histogram, 7) }),
);
