/** Words and templates of the bundled stream: four invented classification tasks. Data for synthetic.ts. */

export interface SyntheticTaskWords {
  readonly name: string;
  readonly family: string;
  readonly instruction: string;
  /** Label -> nouns that speak for it. The label itself does not occur in them. */
  readonly cues: Readonly<Record<string, readonly string[]>>;
  /** {cue}, {cue2}, {cue3}: different nouns of the label; {other}: one of another label, beside the point. */
  readonly templates: readonly string[];
}

function list(text: string, separator: string): string[] {
  return text.split(separator).map((phrase) => phrase.trim().replace(/\s+/g, " "));
}

const words = (text: string) => list(text, " ");

/** Slots that every template may use; they say nothing about the label. */
export const SLOTS: Readonly<Record<string, readonly string[]>> = {
  person: list(
    `Anna, Peter, Maria, Thomas, Ruth, George, Helen, Martin, Clara, Henry, Alice, Edward, Julia, Frank, Sarah, Walter,
    Emma, Paul, Laura, Robert, Nora, Simon, Lucy, Oscar, an old friend, the neighbour, a stranger, somebody, a visitor`,
    ",",
  ),
  place: list(
    `the village, the north, the old town, the valley, the hills, the capital, the lake, the river, the market, the west,
    the suburbs, the south, the border, the plain, the square, the corner, the mountains, the next town`,
    ",",
  ),
  time: list(
    `on Monday, on Tuesday, on Friday, on Saturday, last week, this morning, yesterday, in March, in April, in autumn,
    before noon, on the first of May, the other day, in June, two days ago, at the weekend, in the evening, last night`,
    ",",
  ),
  number: words("204 318 475 521 690 743 816 932 246 395 412 604"),
};

/** Sentences put before or after some rows; they say nothing about the label. */
export const ASIDES: readonly string[] = list(
  `{person} sends greetings.; More about {place} next time.; Nothing else is new.; We left {place} {time}.;
  {person} has moved to {place}.; That is all for today.; It was a long day.; I heard this from {person}.;
  We are all well here.; There were twelve of us {time}.`,
  ";",
);

/** Names without a meaning for the groups of generated tasks. */
export const GROUP_NAMES: readonly string[] = words(
  "amber birch cedar coral ebony fern flint hazel ivory jade lilac maple olive onyx opal pearl quartz ruby slate walnut",
);

export const SYNTHETIC_TASKS: readonly SyntheticTaskWords[] = [
  {
    name: "diary",
    family: "Topic",
    instruction: "What is the diary mostly about? Choose one from the option.",
    cues: {
      music: words(
        "song piano band concert album guitar singer orchestra drum violin opera tune bass composer musician solo chorus organ",
      ),
      food: words(
        "cheese soup bread meat salad pizza chicken dinner sauce dessert meal butter cake breakfast sandwich steak pepper chocolate",
      ),
      travel: words(
        "train airport hotel ticket flight station bus plane railway trip journey destination airline tourist passenger vacation traffic map",
      ),
      garden: words(
        "flower tree grass leaf hedge bush shrub soil fence gate branch rose fruit forest wood olive bird path",
      ),
      money: words(
        "bank loan tax debt bill income fee rent credit cash payment fund insurance deposit profit pension budget refund",
      ),
    },
    templates: [
      "{person} spoke of the {cue}, the {cue2} and the {cue3} {time}, and only once of the {other}.",
      "All of it {time} was about the {cue}. {person} mentioned the {other}, but soon we were back at the {cue2}.",
      "We meant to discuss the {other}, but {person} would not stop talking of the {cue} and then the {cue2}.",
      "{person} wrote a page on the {cue}. There is one line on the {other}; the rest is the {cue2} and the {cue3}.",
      "Never mind the {other}. What kept {person} and me busy {time} was the {cue} and the {cue2}.",
      "I put the {other} aside {time}. {person} came from {place} to see the {cue}, the {cue2} and the {cue3}.",
      "First the {cue}, then the {cue2}: {person} from {place} knows no other subject.",
      "I thought of the {cue} all the way to {place}, and {person} of the {cue2}.",
    ],
  },
  {
    name: "scenes",
    family: "Place",
    instruction: "Where does the scene take place? Choose one from the option.",
    cues: {
      school: words(
        "teacher pupil class student college grade lecture degree classroom academy education test professor university",
      ),
      hospital: words(
        "patient doctor nurse surgery fever disease medicine clinic illness treatment infection wound physician cure virus",
      ),
      ship: words(
        "captain sail sea crew boat anchor whale voyage sailor vessel ocean pirate wave rope shore",
      ),
      church: words(
        "priest prayer god saint faith pilgrim angel temple heaven religion soul parish worship clergy",
      ),
      court: words(
        "judge jury lawyer trial law crime justice attorney appeal evidence witness murder jail prosecutor criminal",
      ),
    },
    templates: [
      "{person} sees the {cue}, the {cue2} and the {cue3}; of the {other} there is only talk.",
      "In the first act it was the {other}. Now {person} waits for the {cue} and thinks of the {cue2}.",
      "The {cue} comes in with {person}. Behind them we notice the {cue2}. They remember the {other} {time}.",
      "{time}, far from the {other}, {person} hears of the {cue}, the {cue2} and the {cue3}.",
      "It begins with the {cue}. {person} asks for the {other}, but the answer is the {cue2}.",
      "Scene {number}: the {cue}, the {cue2}. {person} enters, tired of the {other}, and looks for the {cue3}.",
      "Scene {number}: {person} stands between the {cue} and the {cue2}.",
      "The {cue} is near. {person} has come from {place} for the {cue2} and the {cue3}.",
    ],
  },
  {
    name: "letters",
    family: "Shop",
    instruction: "Which department should answer the letter? Choose one from the option.",
    cues: {
      books: words(
        "author novel chapter story poem writer reader fiction poetry essay magazine edition library page tale poet",
      ),
      films: words(
        "actor movie director scene plot cast cinema drama comedy horror script screenplay sequel actress documentary",
      ),
      sports: words(
        "football player team coach league goal match baseball hockey season score tennis golf stadium ball",
      ),
      computers: words(
        "software internet laptop download network website windows data email screen cable battery server mobile web",
      ),
      clothes: words(
        "dress coat shirt hat jacket skirt collar sleeve silk button shawl boot suit costume leather velvet bonnet",
      ),
    },
    templates: [
      "Dear shop, I asked about the {cue} and the {cue2}, not about the {other}. Yours, {person}",
      "Order {number}: the {cue} is wrong, and so are the {cue2} and the {cue3}. The {other} was fine. Yours, {person}",
      "{time} I paid for the {cue}. I got the {cue2}. My friend bought the {other} and is content.",
      "Please tell {person} that the {cue} never came {time}. The {other} can wait, the {cue2} cannot.",
      "Thank you for the {other}. But where is the {cue}, and what about the {cue2} and the {cue3}?",
      "You wrote to me of the {other} {time}. That was for {person}; I wanted the {cue} and the {cue2}.",
      "Order {number}: I need the {cue}, the {cue2} and the {cue3} in {place}.",
      "{person} from {place} has a question on the {cue} and on the {cue2}.",
    ],
  },
  {
    name: "pictures",
    family: "Image",
    instruction: "What does the picture show? Choose one from the option.",
    cues: {
      animals: words("dog cat horse cow bear snake mouse duck elephant pig beast puppy worm tail"),
      space: words("planet moon star astronaut eclipse sky earth satellite universe sun telescope"),
      war: words(
        "soldier army battle enemy regiment officer gun commander fight sword siege colonel retreat weapon camp",
      ),
      family: words(
        "mother father wife husband sister brother son baby daughter aunt uncle cousin child nephew niece",
      ),
      castle: words("king queen prince throne knight princess palace tower crown emperor duke lord"),
    },
    templates: [
      "In front the {cue}, next to it the {cue2}. {person} first took it for the {other}.",
      "Picture {number}: the {cue}, the {cue2}, the {cue3}. The {other} on the frame is not part of it.",
      "{person} painted the {cue} and the {cue2} {time}. An older picture of the {other} lies below.",
      "You see the {cue}; the {cue2} is in the shade. {person} left out the {other}.",
      "Not the {other}, as the list says, but the {cue}, the {cue2} and the {cue3}, drawn near {place}.",
      "It hung beside the {other} in {place}. {person} likes the {cue} and above all the {cue2}.",
      "Picture {number}: the {cue} and the {cue2}, seen from {place}.",
      "{person} has drawn the {cue}, the {cue2} and, very small, the {cue3}.",
    ],
  },
];
