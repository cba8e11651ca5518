/** Words and templates of the bundled stream: four invented classification tasks. Data for synthetic.ts, no code. */

export interface SyntheticTaskWords {
  readonly name: string;
  readonly family: string;
  readonly instruction: string;
  /** Label -> phrases that speak for it. The label itself does not occur in them. */
  readonly cues: Readonly<Record<string, readonly string[]>>;
  /** {cue} and {cue2}: two phrases of the label; {other}: one of another label, said to be beside the point. */
  readonly templates: readonly string[];
}

/** Slots that every template may use; they say nothing about the label. */
export const SLOTS: Readonly<Record<string, readonly string[]>> = {
  person:
    list(`Anna, Peter, Maria, Thomas, Ruth, George, Helen, Martin, Clara, Henry, Alice, Edward, Julia, Frank,
    Sarah, Walter, Emma, Paul, Laura, Robert, my aunt, my uncle, my cousin, the neighbour, an old friend, the teacher,
    the doctor, my sister, my brother, the landlord, the captain, a visitor, the new clerk, the twins`),
  place:
    list(`the village, the north coast, the old town, the valley, the western hills, the capital, the lake,
    the river bank, the market square, the islands, the southern counties, the harbour town, the high road, the border,
    the eastern plain, the forest, the mill, the castle, the university, the bridge, the suburbs, the park`),
  time: list(`on Monday, on Tuesday, on Friday, on Saturday, last week, this morning, yesterday, in March, in April,
    in autumn, before lunch, after school, on the first of May, the other day, in June, two days ago,
    at the weekend, early in the evening, at noon, during the holidays`),
  hour: list(`six o'clock, noon, midnight, the evening, dawn, the afternoon, nine o'clock, tomorrow night, Thursday,
    the weekend, nightfall, the early morning`),
  item: list(`lamp, chair, kettle, radio, clock, jacket, mirror, printer, camera, blanket, bicycle, table, toaster, phone,
    carpet, watch, bookcase, coat, heater, mattress, fan, keyboard, vase, tent, helmet, backpack, desk, sofa, mixer,
    telescope, drill, umbrella, bench, globe, stove, frame, pair of shoes, set of plates, box of tools, wooden toy`),
  number: list("1204, 3318, 4075, 5521, 6190, 7743, 8816, 9032, 2467, 3950, 4412, 6604"),
};

/** Sentences put before or after some rows; they say nothing about the label. */
export const ASIDES: readonly string[] = list(
  `I write this in a hurry.; The letter from {place} came {time}.; {person} sends greetings.; More about {place} next time.;
  There were twelve of us {time}.; Nothing else is new.; Please tell {person} as well.; We left {place} {time}.;
  {person} has moved to {place}.; That is all for today.; It was a long day.; You may read this to {person}.;
  The clock has just struck {hour}.; This was {time}.; I heard this from {person}.; We are all in good health here.`,
  ";",
);

function list(text: string, separator = ","): string[] {
  return text.split(separator).map((phrase) => phrase.trim().replace(/\s+/g, " "));
}

export const SYNTHETIC_TASKS: readonly SyntheticTaskWords[] = [
  {
    name: "diary",
    family: "Topic",
    instruction: "What is the diary entry mostly about? Choose one from the option.",
    cues: {
      music:
        list(`the violin, the choir, a song, the drums, some old records, the piano, the concert, a guitar,
        that melody, the singer, the band, the orchestra, a dance tune, the trumpet, the rehearsal, the chorus,
        the lyrics, a new album, the opera, the rhythm, a flute, the hymn, the microphone, the composer`),
      food: list(`the soup, fresh bread, the recipe, the oven, dinner, cheese, the kitchen, the pastry, a roast, the salad,
        butter, a chocolate cake, the spices, the sauce, breakfast, noodles, the stew, the bakery, pepper and salt,
        fried rice, the pudding, supper, a pot of honey, the menu`),
      travel:
        list(`the train, the tickets, a passport, the suitcase, the airport, the hotel, a map, the ferry,
        the frontier, the long journey, the station, the flight, our luggage, the guide book, the cabin, the bus route,
        the motorway, a sea voyage, the visa, the platform, the coach tour, the timetable, the compass, foreign cities`),
      garden:
        list(`the roses, the seeds, the soil, a spade, the hedge, the lawn, the greenhouse, the weeds, the tulips,
        the apple tree, the compost, watering the beds, the flower pots, the lilies, the orchard, some bulbs, the moss,
        the ivy, the rake, young seedlings, pruning the vines, the daisies, the pond, the shrubs`),
      money:
        list(`the bank, the loan, the rent, our taxes, the savings, an invoice, the wages, the budget, the bill,
        some shares, the debt, the price of coal, the salary, a purse of coins, the accounts, the insurance, the cheque,
        the fee, interest rates, the pension, the auction, the mortgage, a fine, the profits`),
    },
    templates: [
      "{person} spoke of {cue} and {cue2} {time}, while {person} only asked about {other}.",
      "All the hours {time} went into {cue}. {person} mentioned {other} once, but soon we were back at {cue2}.",
      "{time} {person} told me everything about {cue} near {place}. Nobody cared for {other}; it was {cue2} again.",
      "We meant to discuss {other} at {place}, but {person} would not stop talking about {cue} and then {cue2}.",
      "{person} wrote three pages on {cue}. There is one line on {other}, and the rest is {cue2}.",
      "I put {other} aside {time}. {person} came from {place}, and we were busy with {cue} and {cue2}.",
      "Never mind {other}. What kept {person} and me awake {time} was {cue}.",
      "{person} had {other} in mind, yet I thought of {cue} all the way to {place}, and of {cue2}.",
    ],
  },
  {
    name: "forecast",
    family: "Weather",
    instruction: "Which weather does the report announce? Choose one from the option.",
    cues: {
      rain: list(`heavy showers, drizzle, a downpour, wet roads, open umbrellas, deep puddles, rising rivers,
        dripping roofs, flooded cellars, soaked fields, water in the streets, a cloudburst, muddy paths,
        overflowing gutters, leaking tents, a damp afternoon, swollen streams, dark wet clouds, rubber boots, a soaking`),
      snow: list(`white fields, deep drifts, thick flakes, icy slopes, sledges, frozen lakes, a blizzard, hard frost,
        slippery ice, ploughs on the roads, a freezing night, skis and boots, icicles, a cold white morning,
        avalanches, roads under ice, a winter landscape, frozen pipes, white roofs, a sharp frost`),
      wind: list(`strong gusts, a gale, swaying branches, loose tiles, rough seas, bent trees, flying leaves, broken masts,
        a stiff breeze, kites in the air, a hurricane, rattling windows, slamming shutters, hats blown away, high waves,
        fallen poles, whirling dust, a storm from the west, torn sails, a tempest`),
      sun: list(`clear skies, bright light, great heat, warm evenings, blue skies, dry air, hot pavements, short shadows,
        beach weather, a cloudless noon, thirsty cattle, melting ice cream, golden light, a hot spell, burnt noses,
        deck chairs, a heat wave, dazzling days, a drought, glowing roofs`),
      fog: list(`thick mist, haze, a poor view, grey mornings, hidden hills, blurred shapes, lamps lit by day,
        low clouds on the ground, ships lost in the grey, dim outlines, closed airports in the haze, pale lanterns,
        misty meadows, invisible towers, a veil over the water, slow cars with lights on, vanishing bridges, vapour,
        murky air, a grey curtain`),
    },
    templates: [
      "Yesterday there was talk of {other} in {place}, but tomorrow everyone must expect {cue} and {cue2}.",
      "After a week of {other}, the report for {place} now speaks of {cue}, and by {hour} of {cue2}.",
      "The old report promised {other}. That was a mistake: look for {cue} in {place} by {hour}, then {cue2}.",
      "{person} still remembers {other} of last year. For {place} the office announces {cue} along with {cue2}.",
      "Report for {place}: {cue} from {hour}, {cue2} later. There is no sign any more of {other}.",
      "By {hour} we count on {cue} over {place}; farmers prepare for {cue2}, not for {other} as {person} said.",
      "{person} hoped for {other}, but the office in {place} is sure: it means {cue}.",
      "Goodbye to {other}! From {hour} the people of {place} will see {cue}, perhaps {cue2} too.",
    ],
  },
  {
    name: "orders",
    family: "Shop",
    instruction: "What is the customer's own problem with the order? Choose one from the option.",
    cues: {
      late: list(`is two weeks overdue, has still not left the warehouse, should have been here on Monday, is delayed again,
        keeps being postponed, is stuck at the depot, took a month to reach me, came long after the birthday,
        is behind schedule, has been on its way since March, makes me wait and wait, was promised for last Friday,
        moves slower than a snail, is held up in the post, arrived ten days after the date, is not expected before June`),
      broken:
        list(`has a crack down the side, does not switch on, fell apart in my hands, is smashed, has a bent handle,
        leaks from the bottom, came with a torn cover, snapped on the first day, stopped working after an hour,
        is full of scratches, rattles and shakes, has a hole in it, burnt out at once, has a split seam,
        makes smoke when used, is dented and chipped`),
      missing:
        list(`was not in the box, has no lid, came without the charger, lacks two screws, is nowhere in the parcel,
        was not packed, has only three of its four legs, came without instructions, is absent from the parcel,
        was left out, lacks its key, came without the batteries, was forgotten by the packers, has no cable,
        did not lie among the other things, lacks the upper half`),
      wrong:
        list(`is red instead of blue, is not the model I chose, is made for the left hand, turned out to be another brand,
        has a different colour, was meant for someone else, is two sizes too small, is not what the picture showed,
        was swapped for another kind, carries a stranger's name, is green and not white, has the shape of a different one,
        is for children and not for adults, does not match the description, fits another country, is a mix-up`),
      price: list(`was charged twice, cost more than the advert said, shows up two times on my card,
        is cheaper on your own page, was billed at double the sum, came with a secret fee, was not given the discount,
        got a higher bill than agreed, cost me extra postage, was sold for half to others, carries a tax I do not owe,
        was paid in full but billed again, lost its coupon at the till, is twenty dollars too dear,
        was reduced and yet billed in full, got an invoice I cannot explain`),
    },
    templates: [
      "I ordered a {item} from your shop {time}, and it {cue}. In my cousin's case the {item} {other}.",
      "{person} writes that a {item} {other}; my complaint is different: the {item} I bought {time} {cue} and {cue2}.",
      "Order {number}: the {item} {cue}. People say that the {item} {other}, but that is not my trouble.",
      "Last year one {item} {other} and you helped me. Now it is the {item}: it {cue}, and what is more, it {cue2}.",
      "The {item} is perfect, thank you. The {item} however {cue}. {person} feared that it {other}, which is untrue.",
      "Please help me with my {item}. It {cue}, as I found {time}. A friend says that his {item} {other}.",
      "This is about order {number}. My {item} {cue}; it {cue2}. Do not mix me up with {person}, whose {item} {other}.",
      "You answered as if my {item} {other}. No: it {cue}!",
    ],
  },
  {
    name: "notes",
    family: "Mood",
    instruction: "How does the writer of the note feel? Choose one from the option.",
    cues: {
      happy:
        list(`I could sing all day, I laughed until my face hurt, everything feels like a gift, I danced through the hall,
        what a wonderful surprise, I cannot stop smiling, we cheered and hugged, this is the best day of my life,
        I jumped for joy, my heart leaps, I want to kiss everyone, the good news makes me glow, I am over the moon,
        we celebrated and laughed, it is a delight, I feel lucky and loved`),
      sad: list(`I cried on the stairs, I miss the old days, nothing can comfort me, my heart is heavy,
        the chair beside me stays empty, I wept over the letters, I have lost my best friend, tears run down my face,
        I mourn and grieve, all joy has gone, I feel so alone, I sat by the grave, it is a bitter farewell,
        I can only sigh, I have no hope left, my eyes are red from weeping`),
      angry:
        list(`I slammed the door, how dare they, I shouted at the wall, this is an outrage, I am sick of their lies,
        my blood is boiling, I tore the letter up, I will never forgive that insult, I hit the table with my fist,
        I cursed them all, they shall pay for it, I am furious, I could scream, what a shameless fraud,
        I threw the plate, I hate this nonsense`),
      calm: list(`I breathe slowly, there is no hurry, the house is quiet and so am I, I rested by the water, my mind is still,
        I slept well, all is at peace, I sip my tea without a thought, I let the clouds pass, nothing disturbs me,
        I sit in silence, I feel at ease, the evening is gentle, I watch the stars in peace, I take my time, I am relaxed`),
      scared:
        list(`my hands are shaking, I heard steps behind me, I dare not open the door, I checked the lock three times,
        something is out there, I trembled all night, I hid under the bed, there was a face at the window,
        I dread the dark, my knees gave way, I fear the worst, I froze at the noise, someone is following me,
        I ran without looking back, I am in terror, danger is near`),
    },
    templates: [
      '{person} said "{other}" when we met at {place}. As for me: {cue}, and {cue2}.',
      'It is {time} as I write this: {cue}. {person} wrote something else, namely "{other}", but here {cue2}.',
      'A note from {place}: {cue}; {cue2}. In the book that {person} gave me a man says "{other}".',
      'Once I wrote to {person}: "{other}". That is over. Now {cue}, and {cue2}.',
      '{cue}. That is how it is {time}, {person}, and you should know it. Do not think that "{other}" is still true.',
      'In the play at {place} someone calls out "{other}". My own day is different: {cue}; {cue2}.',
      'You ask me, {person}, if I too would say "{other}". No, {cue}.',
      '{cue}, {person}. I told them at {place}, and {cue2}. The others go on with "{other}".',
    ],
  },
];
