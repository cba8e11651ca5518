/** What a merged model is compared on when the user gives no prompts: short texts of several kinds and scripts. */
export const PROBE_PROMPTS: readonly string[] = [
  "What is the sentiment of the following paragraph? Choose one from the option.\nOption: negative, positive\nThe soup was cold, the waiter rude, and still we laughed all evening.\nAnswer:",
  "What is the topic of the following paragraph? Choose one from the option.\nOption: World, Sports, Business, Science or Technology\nThe probe entered orbit on Tuesday after a journey of seven months.\nAnswer:",
  "According to the following passage, is the question true or false? Choose one from the option.\nOption: True, False\nRivers carry water from the mountains to the sea. Does water flow uphill?\nAnswer:",
  "Summarize: The town council met for six hours and agreed on nothing but the date of its next meeting.",
  "Translate to German: Where is the nearest railway station?",
  "Question: If a box holds 12 eggs and 5 are broken, how many are whole?\nAnswer:",
  "def area(width, height):\n    return",
  "Гражданам раздали карты, но на них не было улиц. 天気はどうですか。",
];
