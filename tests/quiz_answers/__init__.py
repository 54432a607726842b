"""The answers of the self-test quizzes, worked out with the library or from scratch, never read from the quizzes.

`NUMBERS` has a function for each question that asks for a number. `CHOICES` has one for each of the others: it computes
what the question is about and returns words that stand in the right choice and in no other.
"""

from quiz_answers import part_five, part_four, part_one, part_three, part_two

PARTS = (part_one, part_two, part_three, part_four, part_five)
NUMBERS = {name: answer for part in PARTS for name, answer in part.NUMBERS.items()}
CHOICES = {name: answer for part in PARTS for name, answer in part.CHOICES.items()}
